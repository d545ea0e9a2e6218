// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The one way in for a page of another member: leased, read, checked, published.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cache_service/client/service_connection.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/replication/group_holds.h"
#include "cache_service/replication/replication_options.h"

namespace pinboard::cache_service {

/// What of a tenant the pages of other members come into.
struct TenantStore {
  Inventory& inventory;
  ClientId self;  // by whom their slabs are leased
  std::function<absl::StatusOr<GrantedSlab>(std::uint64_t bytes)> lease;
  std::function<bool(std::uint64_t bytes)> is_roomy;  // a lease would let no page leave
  std::function<absl::Span<std::byte>(const SlabPlace&)> memory;
};

/// A page that is pinned at another member until this one says that it has read it.
struct IncomingPage {
  GroupId group;
  PageHeader header;
  SlabLocation location;  // there
  PageOrigin origin;      // where it is spilled, no page is to leave for it
};

///   Take --room--> on its way --read--> checked --> published, and `came` is called
///     |               |                    +--> corrupt: its slab is given back, as in all below
///     +--> no room    +--> the connection ended, or its group, or it was dropped meanwhile
///
/// Each Take is answered exactly once, maybe before it returns; not after this has ended.
/// Single-threaded, on the thread that owns the fabric.
class PageIntake {
 public:
  using Done = std::function<void(OfferOutcome)>;
  using Came = std::function<void(GroupId, const PageKey&)>;

  PageIntake(TenantStore store, const ReplicationOptions& options, Came came)
      : store_(std::move(store)), options_(options), came_(std::move(came)) {}
  ~PageIntake();
  PageIntake(const PageIntake&) = delete;
  PageIntake& operator=(const PageIntake&) = delete;

  void Take(const ServiceConnectionPtr& from, const IncomingPage& page, Done done);

  /// What is on its way of these is not to be published any more.
  void Drop(GroupId group, const PageRef& page);
  void DropSequence(GroupId group, std::uint64_t sequence);

  /// Whether a page has been on its way over this connection since before `since`.
  bool IsLate(const ServiceConnection& from, absl::Time since) const;

 private:
  struct Flight {
    ServiceConnectionPtr from;
    IncomingPage page;
    GrantedSlab slab;
    absl::Time began;
    bool wanted = true;
    Done done;
  };

  OfferOutcome Refuses(const ServiceConnection& from, const IncomingPage& page) const;
  void OnRead(std::uint64_t id, const absl::Status& status);
  OfferOutcome Finish(const Flight& flight, const absl::Status& status);

  const TenantStore store_;
  const ReplicationOptions options_;
  const Came came_;
  absl::flat_hash_map<std::uint64_t, Flight> flights_;
  std::uint64_t next_flight_ = 1;
};

}  // namespace pinboard::cache_service
