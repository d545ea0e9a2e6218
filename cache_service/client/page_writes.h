// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A client's leases, and the way of their pages into the service.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cache_service/client/hold_table.h"
#include "cache_service/client/leases_ahead.h"
#include "cache_service/client/service_connection.h"
#include "cache_service/page_store.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/page_lists.h"

namespace pinboard::cache_service {

struct PageToPublish {
  HoldId hold;
  PageHeader header;
};

/// Single-threaded, but TakeAhead. Each lease request is answered exactly once, also when the
/// connection ends; the memory of a lease stays until its Return or Publish.
class PageWrites {
 public:
  using Leased =
      std::function<void(std::uint64_t request, absl::StatusOr<std::vector<LeasedMemory>>)>;

  PageWrites(std::string address, Leased leased)
      : address_(std::move(address)), leased_(std::move(leased)) {}

  /// What is asked for goes there from now on.
  void Connected(ServiceConnectionPtr connection) { connection_ = std::move(connection); }
  /// Requests under way are answered with `gone`.
  void Lost(const absl::Status& gone);

  void Lease(std::uint64_t request, std::uint32_t count, std::uint64_t bytes);
  absl::Status OnLeaseReply(const Envelope<LeaseReply>& envelope);
  /// Leases that are there already, or none; on any thread. TookAhead is to follow, on this one.
  std::vector<LeasedMemory> TakeAhead(std::uint32_t count, std::uint64_t bytes);
  void TookAhead(std::uint32_t count, std::uint64_t bytes);
  /// Gives back what was leased ahead and is not asked for.
  void GiveBackIdle(absl::Time now) { GiveBack(ahead_.TakeIdle(now)); }
  absl::Time idle_at() const { return ahead_.idle_at(); }

  /// End the leases. Those of an earlier connection are only let go.
  void Return(absl::Span<const HoldId> leases);
  void Publish(std::vector<PageToPublish> pages);

  /// Runs once what was published before has been sent: at once, or when its Puts are done.
  void InOrder(absl::AnyInvocable<void()> step);
  std::size_t waiting() const { return steps_.size(); }

 private:
  struct HeldLease {
    ServiceConnection* connection = nullptr;  // there while it is held
    SlabLocation location;
    // Shared with the Put that reads it; null where mapped.
    std::shared_ptr<std::byte[]> staging;
  };
  struct PendingLease {
    std::uint32_t count = 0;
    std::uint64_t bytes = 0;  // of a page
  };
  /// A publication whose copies are on their way to the service; shared with their Puts, which may
  /// outlast the connection.
  struct Publication {
    PageListWriter<cache_service::Publish> pages;
    std::vector<EncodedMessage> parts;  // that are full
    int puts_in_flight = 0;
    absl::Status status;
  };

  /// From what was leased ahead, or by asking the service.
  void Serve(std::uint64_t request);
  void Ask(std::uint64_t request);
  absl::Status OnAnswerAhead(const LeaseReply& reply);
  absl::Status CheckSlabs(const LeaseReply& reply, std::uint32_t count, std::uint64_t bytes) const;
  void Grant(std::uint64_t request, std::vector<LeasedMemory> leases);
  void GiveBack(const std::vector<LeasedMemory>& leases);
  std::vector<LeasedMemory> HoldLeases(const std::vector<SlabLocation>& slabs, std::uint64_t bytes);
  LeasedMemory HoldLease(const SlabLocation& location, std::uint64_t bytes);
  void PublishNow(const std::vector<PageToPublish>& pages);
  void StartPut(const HeldLease& lease, std::size_t bytes);
  void OnPutDone(const std::shared_ptr<Publication>& publication, const absl::Status& status);
  void SendParts(Publication& publication);
  void EndPublication(Publication& publication);
  void ContinueSteps();

  const std::string address_;
  const Leased leased_;
  ServiceConnectionPtr connection_;  // null where there is none
  HoldTable<HeldLease> leases_;
  absl::flat_hash_map<std::uint64_t, PendingLease> pending_;  // by request
  LeasesAhead ahead_;
  std::vector<std::uint64_t> waiting_for_ahead_;  // requests, in their order
  std::shared_ptr<Publication> publication_;      // null: nothing is under way by this connection
  std::deque<absl::AnyInvocable<void()>> steps_;  // what must follow it
};

/// Unavailable: what a link answers while it has no connection.
absl::Status NotConnected(const std::string& address);

}  // namespace pinboard::cache_service
