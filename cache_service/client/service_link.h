// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The client's half of the protocol: one connection at a time, and what is held from earlier ones.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/memory_registration.h"
#include "cache_service/client/page_reads.h"
#include "cache_service/client/page_writes.h"
#include "cache_service/client/reply_router.h"
#include "cache_service/client/service_connection.h"
#include "cache_service/page_store.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/remote_page_store.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// Single-threaded, on the thread that owns the fabric; handlers run inside the fabric's progress.
/// What is asked for is answered exactly once, also when the connection ends (PageWrites,
/// PageReads); not after the link has ended.
class ServiceLink final : private ServiceReplies {
 public:
  struct Handlers {
    PageWrites::Leased leased;
    std::function<void(absl::Status)> closed;
  };

  /// `router` is the fabric's; both must outlive this, as must `pins`, to whom pins are given back.
  ServiceLink(transport::Fabric& fabric, ReplyRouter& router, std::string address,
              PageStoreOptions options, Handlers handlers, Releaser& pins);
  ~ServiceLink() override;
  ServiceLink(const ServiceLink&) = delete;
  ServiceLink& operator=(const ServiceLink&) = delete;

  /// Blocks until greeted or the deadline. Requires !connected().
  absl::Status Connect(absl::Time deadline) { return Connect(deadline, options_.register_memory); }
  bool connected() const { return current_ != nullptr; }
  bool holds_pins() const { return reads_.holds_pins(); }

  /// Where not connected, these answer Unavailable, or have no effect.
  void Lease(std::uint64_t request, std::uint32_t count, std::uint64_t bytes);
  /// Leases that are there already (PageWrites). TakeAhead may be called on any thread.
  std::vector<LeasedMemory> TakeAhead(std::uint32_t count, std::uint64_t bytes) {
    return writes_.TakeAhead(count, bytes);
  }
  void TookAhead(std::uint32_t count, std::uint64_t bytes) { writes_.TookAhead(count, bytes); }
  void Fetch(std::vector<PageRef> pages, absl::Time deadline);
  /// What fetches were answered since the last call.
  bool has_fetched() const { return reads_.has_answers(); }
  FetchedPages TakeFetched() { return reads_.TakeAnswers(); }
  void Drop(const std::vector<PageRef>& pages);
  /// Where it cannot be sent, it is once connected again to the service in the same life.
  void DropSequence(std::uint64_t sequence);

  /// Ends the leases. Holds of an earlier connection are only let go.
  void Publish(std::vector<PageToPublish> pages);
  void Return(absl::Span<const HoldId> leases) { writes_.Return(leases); }
  /// The service is told with the next SendUnpins, or before a lease is asked for.
  void Unpin(absl::Span<const HoldId> pins) { reads_.Unpin(pins); }
  void SendUnpins() { reads_.SendUnpins(); }

  /// Answers all fetches under way; what comes for them later is given back.
  void RefuseFetches(const absl::Status& status) { reads_.RefuseAll(status); }

  /// Resolves fetches past their deadline, gives back leases that nobody asked for, and lets go of
  /// ended connections.
  void Tick(absl::Time now);
  /// When it has something to do next.
  absl::Time next_deadline() const { return std::min(reads_.next_deadline(), writes_.idle_at()); }
  /// As the connection's; InfiniteFuture where there is none.
  absl::Time unanswered_since() const {
    return current_ == nullptr ? absl::InfiniteFuture() : current_->unanswered_since();
  }

  /// PageStoreStats says of what. On any thread.
  std::uint64_t protocol_errors() const { return protocol_errors_.load(); }

  /// Ends the connection as if it had been lost. Requires connected().
  void GiveUp(const absl::Status& reason) { End(reason); }
  /// Says goodbye, also for connections that were lost, for which it connects once more, and
  /// closes; returns by the deadline.
  void Shutdown(absl::Time deadline);

 private:
  absl::Status OnReply(const Envelope<Challenge>& envelope) override;
  absl::Status OnReply(const Envelope<Welcome>& envelope) override;
  absl::Status OnReply(const Envelope<Segments>& envelope) override;
  absl::Status OnReply(const Envelope<Withdrawn>& envelope) override;
  absl::Status OnReply(const Envelope<LeaseReply>& envelope) override;
  absl::Status OnReply(PageListReader<FetchReply>& pages) override;
  absl::Status OnReply(PageListReader<FetchHits>& pages) override;
  absl::Status OnReply(const Envelope<FetchMisses>& envelope) override;
  absl::Status OnReply(const Envelope<Error>& envelope) override;
  void OnBroken(const absl::Status& why) override;
  void OnClosed(const absl::Status& reason) override;

  absl::Status Connect(absl::Time deadline, const MemoryRegistrar& register_memory);
  void Greet(transport::PeerId peer, const MemoryRegistrar& register_memory);
  void ContinueGreeting();
  void EndGreeting(const absl::Status& outcome);
  /// The connection that is being greeted, or was.
  ServiceConnection& partner() { return greeting_ != nullptr ? *greeting_ : *current_; }
  /// Of a reply that no greeting has.
  absl::Status Hear();
  void End(const absl::Status& reason);
  void FetchTogether(std::vector<PageRef> pages, absl::Time deadline);
  bool Congested() const;
  void KeepDroppedSequence(std::uint64_t sequence);
  void SendDroppedSequences();
  void SayOnceThatPagesAreCopied(bool mapping_expected);

  transport::Fabric& fabric_;
  ReplyRouter& router_;
  const std::string address_;
  const PageStoreOptions options_;
  const ProcessIdentity process_;
  const std::function<void(absl::Status)> closed_;
  PageWrites writes_;
  PageReads reads_;
  ServiceConnectionPtr greeting_;  // under way
  absl::Status greeted_;           // how the last one ended
  ServiceConnectionPtr current_;
  std::vector<ServiceConnectionPtr> ended_;      // and still held, or not yet said goodbye to
  std::uint64_t incarnation_ = 0;                // of the last service that was greeted
  std::deque<std::uint64_t> dropped_sequences_;  // it has not been told of
  bool said_copied_ = false;
  std::atomic<std::uint64_t> protocol_errors_ = 0;
};

}  // namespace pinboard::cache_service
