// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The client's half of the protocol: one connection at a time, and what is held from earlier ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/memory_registration.h"
#include "cache_service/page_store.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/remote_page_store.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// Names a lease or a pin within one link, across its connections.
using HoldId = StrongId<struct HoldIdTag, std::uint64_t>;

/// A slab to write to.
struct LeasedMemory {
  HoldId hold;
  absl::Span<std::byte> memory;
};

/// A page to read. Without a hold, `bytes` lie in `copy` and nothing is to be given back.
struct FetchedMemory {
  std::optional<HoldId> hold;
  absl::Span<const std::byte> bytes;
  // Shared: the pin's release function, which must be copyable, keeps the copy.
  std::shared_ptr<std::byte[]> copy;
};

struct PageToPublish {
  HoldId hold;
  PageHeader header;
};

/// Single-threaded, on the thread that owns the fabric; handlers run inside the fabric's progress.
/// Each lease request and each page of a fetch is answered exactly once, also when the connection
/// ends. Memory of a lease or pin stays mapped until Return, Publish or Unpin of it.
class ServiceLink {
 public:
  struct Handlers {
    std::function<void(std::uint64_t request, absl::StatusOr<std::vector<LeasedMemory>>)> leased;
    std::function<void(const PageRef&, const PageHeader&, absl::StatusOr<FetchedMemory>)> fetched;
    std::function<void(absl::Status)> closed;
  };

  ServiceLink(std::unique_ptr<transport::Fabric> fabric, std::string address,
              PageStoreOptions options, Handlers handlers);
  ~ServiceLink();
  ServiceLink(const ServiceLink&) = delete;
  ServiceLink& operator=(const ServiceLink&) = delete;

  transport::Fabric& fabric() { return *fabric_; }

  /// Blocks until greeted or the deadline. Requires !connected().
  absl::Status Connect(absl::Time deadline);
  bool connected() const { return current_ != nullptr; }

  /// Where not connected, these answer Unavailable, or have no effect.
  void Lease(std::uint64_t request, std::uint32_t count, std::uint64_t bytes);
  void Fetch(const std::vector<PageRef>& pages, absl::Time deadline);
  void Drop(const std::vector<PageRef>& pages);
  void DropSequence(std::uint64_t sequence);

  /// Ends the leases. Holds of an earlier connection are only let go.
  void Publish(const std::vector<PageToPublish>& pages);
  void Return(absl::Span<const HoldId> leases);
  void Unpin(absl::Span<const HoldId> pins);

  /// Resolves fetches past their deadline and lets go of ended connections.
  void Tick(absl::Time now);
  /// When the next fetch expires.
  absl::Time next_deadline() const;

  /// Says goodbye and closes; returns by the deadline.
  void Shutdown(absl::Time deadline);

 private:
  struct MappedSegment {
    std::unique_ptr<transport::RemoteSegment> memory;
    std::unique_ptr<MemoryRegistration> registration;  // behind `memory`: ends before it
  };
  /// One connection, kept while anything of it is held.
  struct Life {
    transport::PeerId peer;
    std::uint64_t client = 0;
    std::uint64_t incarnation = 0;
    std::uint64_t features = 0;
    bool same_host = false;
    bool open = true;
    int holds = 0;  // leases, pins, one-sided operations
    absl::flat_hash_map<std::uint32_t, MappedSegment> segments;
  };
  struct HeldLease {
    Life* life = nullptr;
    SlabLocation location;
    std::shared_ptr<std::byte[]> staging;  // shared with the Put that reads it; null where mapped
  };
  struct PendingLease {
    std::uint32_t count = 0;
    std::uint64_t bytes = 0;  // of a page
  };
  struct HeldPin {
    Life* life = nullptr;
    std::uint64_t slab = 0;
  };
  struct PendingFetch {
    std::vector<PageRef> pages;
    std::vector<bool> resolved;
    std::size_t left = 0;
    absl::Time deadline;
  };
  struct Greeting {
    transport::PeerId peer;
    Hello hello;
    std::optional<Welcome> welcome;
    std::optional<absl::Status> outcome;
  };

  template <typename Message>
  void Register(absl::Status (ServiceLink::*handler)(const Envelope<Message>&));
  template <typename Message>
  void Send(std::uint64_t request, const Message& message);
  template <typename Message, typename Element>
  void SendInBatches(std::vector<Element> Message::*list, const std::vector<Element>& elements);

  absl::Status OnWelcome(const Envelope<Welcome>& welcome);
  absl::Status OnSegments(const Envelope<Segments>& segments);
  absl::Status OnLeaseReply(const Envelope<LeaseReply>& reply);
  absl::Status OnFetchReply(const Envelope<FetchReply>& reply);
  absl::Status OnFetchMisses(const Envelope<FetchMisses>& misses);
  absl::Status OnError(const Envelope<Error>& error);
  void OnClosed(transport::PeerId peer, const absl::Status& reason);
  void EndConnection(transport::PeerId peer, const absl::Status& reason);

  bool IsPartner(transport::PeerId peer) const;
  void Disconnect(const absl::Status& reason);
  bool Congested() const;
  void InOrder(std::function<void()> step);
  void PublishNow(const std::vector<PageToPublish>& pages);
  void SendFetch(std::uint64_t request);
  absl::StatusOr<std::unique_ptr<MemoryRegistration>> RegisterMemory(
      transport::RemoteSegment& segment) const;
  absl::Status CheckLocation(const SlabLocation& location, std::uint64_t bytes) const;
  LeasedMemory HoldLease(const SlabLocation& location, std::uint64_t bytes);
  void StartPut(const HeldLease& lease, std::uint32_t bytes);
  void OnPutDone(Life* life, const absl::Status& status);
  absl::Status Take(std::uint64_t request, const PageRef& page, const FetchedPage& fetched);
  void StartGet(std::uint64_t request, const FetchedPage& fetched);
  void Resolve(std::uint64_t request, std::uint32_t index, const PageHeader& header,
               absl::StatusOr<FetchedMemory> memory);
  void ResolveAll(std::uint64_t request, const absl::Status& status);
  void LetGoOfEndedLives();
  void SayOnceThatPagesAreCopied(bool mapping_expected);

  std::unique_ptr<transport::Fabric> fabric_;
  const std::string address_;
  const PageStoreOptions options_;
  const ProcessIdentity process_;
  const Handlers handlers_;
  std::optional<Greeting> greeting_;
  Life* current_ = nullptr;  // in lives_
  std::vector<std::unique_ptr<Life>> lives_;
  absl::flat_hash_map<HoldId, HeldLease> leases_;
  absl::flat_hash_map<HoldId, HeldPin> pins_;
  absl::flat_hash_map<std::uint64_t, PendingLease> pending_leases_;  // by request
  absl::flat_hash_map<std::uint64_t, PendingFetch> pending_fetches_;
  std::uint64_t next_hold_ = 1;
  std::uint64_t next_fetch_ = 1;
  std::size_t sends_in_flight_ = 0;
  // The one publication whose copies are on their way to the service, and what must follow it.
  std::deque<std::function<void()>> after_puts_;
  int puts_in_flight_ = 0;
  bool puts_ok_ = true;
  std::vector<PublishedPage> publishing_;
  bool said_copied_ = false;
  bool ending_ = false;  // completions run by the fabric's end must not look at what is gone
};

}  // namespace pinboard::cache_service
