// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The tenants of a service: what each has, and how memory moves between them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/rate_limit.h"
#include "cache_service/access/access_control.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/inventory/segment_pool.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/replication/replicator.h"
#include "cache_service/server/parked_fetches.h"
#include "cache_service/server/service_metrics.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// All that belongs to one tenant. A client is given one and reaches no other: what it asks for is
/// looked up in here alone.
struct Tenant {
  Tenant(std::string tenant_name, std::uint64_t chunk_bytes, const EvictionPolicyPtr& policy,
         const Watermarks& watermarks, const Clock& clock)
      : name(std::move(tenant_name)),
        inventory(Arena({}, chunk_bytes), policy, watermarks, clock) {}

  void CountFetched(const Inventory::PinResult& pinned);
  void AddTo(ServiceCounts& counts) const;

  const std::string name;
  Inventory inventory;
  ParkedFetches parked;
  std::unique_ptr<Replicator> replicator;  // null where the service has no other members
  std::map<std::uint32_t, std::unique_ptr<transport::Segment>> segments;
  std::uint32_t next_segment = 0;
  absl::Time next_growth = absl::InfinitePast();  // in the background

  std::uint64_t connections_total = 0;
  std::uint64_t refused_leases_total = 0;
  std::uint64_t pages_fetched_total = 0;
  std::uint64_t bytes_fetched_total = 0;
  std::array<std::uint64_t, kMissCauses> misses_total{};
};

struct TenantMemory {
  std::uint64_t arena_bytes = 0;
  std::uint64_t segment_bytes = 0;
  std::uint64_t chunk_bytes = 0;
  EvictionPolicyPtr eviction;
  Watermarks watermarks;
};

/// Segments go to who needs them: to the end of its quota, then those that others do not use, then,
/// for a higher priority, those whose pages are made to leave. Thread-compatible.
class Tenants {
 public:
  /// Clients of the tenant are to be told before anything else is sent to them.
  struct Listeners {
    std::function<void(const Tenant&, std::uint32_t segment)> added;
    std::function<void(const Tenant&, std::uint32_t segment)> withdrawn;
  };

  /// `fabric` and `clock` must outlive this.
  Tenants(transport::Fabric& fabric, const TenantMemory& memory, const Clock& clock,
          Listeners listeners);

  /// Adds tenants that are new, and sets everybody's limits. Who is no longer named keeps nothing
  /// but what its clients still hold.
  void Apply(const AccessControl& access);
  /// All that its quota allows. The fabric's error: there is not so much memory.
  absl::Status GiveAll(Tenant& tenant);

  /// Requires the tenant to have been named by Apply.
  Tenant& Find(const std::string& name) { return *tenants_.at(name); }
  /// By name; none ever leaves.
  const std::map<std::string, std::unique_ptr<Tenant>>& all() const { return tenants_; }

  /// Inventory::Lease, for which the tenant gets memory where it may have more.
  absl::StatusOr<std::vector<GrantedSlab>> Lease(Tenant& tenant, ClientId client,
                                                 std::uint64_t count, std::uint64_t bytes);
  /// Whether a lease of one slab would let no page leave, nor soon.
  bool IsRoomy(const Tenant& tenant, std::uint64_t bytes) const;
  /// Lets pages leave and segments change hands. When to be called again.
  absl::Time Tick(absl::Time now);

  /// How much memory the tenant may have, and what nobody has.
  std::uint64_t QuotaOf(const Tenant& tenant) const { return pool_.QuotaOf(tenant.name); }
  std::uint64_t free_bytes() const { return pool_.free_bytes(); }

 private:
  bool MayGrow(const Tenant& tenant) const;
  absl::Status Grow(Tenant& tenant);
  /// Grow for somebody who waits for no error: the log says where there is no memory.
  bool TryGrow(Tenant& tenant);
  bool ReclaimIdleOfOthers(const Tenant& tenant);
  void GiveBack(Tenant& tenant, std::uint32_t segment);

  const TenantMemory memory_;
  const Clock& clock_;
  const Listeners listeners_;
  SegmentPool pool_;
  absl::Status allocated_;  // the last segment, or why not
  RateLimit no_memory_log_{4, absl::Seconds(10)};
  std::map<std::string, std::unique_ptr<Tenant>> tenants_;
};

/// A segment as it is announced.
SegmentEntry DescribeSegment(const Tenant& tenant, std::uint32_t segment);

}  // namespace pinboard::cache_service
