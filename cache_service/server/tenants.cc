// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/server/tenants.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace pinboard::cache_service {
namespace {

// Of each tenant between two looks at the fabric: some tens of microseconds.
constexpr int kEvictionsPerTurn = 64;
// Between two tries of one that got no memory.
constexpr absl::Duration kGrowthInterval = absl::Milliseconds(50);

}  // namespace

void Tenant::CountFetched(const Inventory::PinResult& pinned) {
  if (pinned.miss == MissCause::kNone) {
    ++pages_fetched_total;
    bytes_fetched_total += pinned.header->bytes;
  } else {
    ++misses_total[static_cast<int>(pinned.miss)];
  }
}

void Tenant::AddTo(ServiceCounts& counts) const {
  counts.inventory += inventory.counts();
  counts.parked_fetches += parked.size();
  counts.connections_total += connections_total;
  counts.refused_leases_total += refused_leases_total;
  counts.pages_fetched_total += pages_fetched_total;
  counts.bytes_fetched_total += bytes_fetched_total;
  if (replicator != nullptr) counts.replication += replicator->counts();
  for (int cause = 0; cause < kMissCauses; ++cause) {
    counts.misses_total[cause] += misses_total[cause];
  }
}

Tenants::Tenants(transport::Fabric& fabric, const TenantMemory& memory, const Clock& clock,
                 Listeners listeners)
    : memory_(memory),
      clock_(clock),
      listeners_(std::move(listeners)),
      pool_(memory.arena_bytes, memory.segment_bytes, memory.chunk_bytes,
            [this, &fabric](std::uint64_t bytes) {
              auto segment = fabric.Allocate(bytes);
              allocated_ = segment.status();
              return segment;
            }) {}

void Tenants::Apply(const AccessControl& access) {
  const std::vector<std::string> named = access.tenants();
  for (const std::string& name : named) {
    std::unique_ptr<Tenant>& tenant = tenants_[name];
    if (tenant == nullptr) {
      tenant = std::make_unique<Tenant>(name, memory_.chunk_bytes, memory_.eviction,
                                        memory_.watermarks, clock_);
    }
    TenantLimits limits = access.LimitsOf(name);
    const std::uint64_t bytes = limits.bytes.value_or(memory_.arena_bytes / named.size());
    if (bytes < memory_.chunk_bytes) {
      LogWarning("tenant ", name, " may have ", FormatByteSize(bytes),
                 ", which holds no page: it needs ", FormatByteSize(memory_.chunk_bytes),
                 " or more");
    }
    if (!limits.extents.has_value()) limits.extents = DefaultExtents(bytes);
    tenant->inventory.SetLimits(limits);
    pool_.SetQuota(name, {bytes, limits.priority});
  }
  for (const auto& [name, tenant] : tenants_) {
    if (!std::binary_search(named.begin(), named.end(), name)) {
      pool_.SetQuota(name, {0, std::numeric_limits<int>::min()});
    }
  }
}

absl::Status Tenants::GiveAll(Tenant& tenant) {
  while (MayGrow(tenant)) PB_RETURN_IF_ERROR(Grow(tenant));
  return absl::OkStatus();
}

bool Tenants::MayGrow(const Tenant& tenant) const {
  return pool_.BytesOf(tenant.name) + memory_.chunk_bytes <= pool_.QuotaOf(tenant.name);
}

absl::Status Tenants::Grow(Tenant& tenant) {
  auto given = pool_.Give(tenant.name, clock_.Now());
  if (absl::IsResourceExhausted(given.status()) && ReclaimIdleOfOthers(tenant)) {
    given = pool_.Give(tenant.name, clock_.Now());
  }
  PB_RETURN_IF_ERROR(given.status());
  const std::uint32_t segment = tenant.next_segment++;
  tenant.inventory.AddSegment(segment, (*given)->memory().size());
  tenant.segments[segment] = *std::move(given);
  listeners_.added(tenant, segment);
  return absl::OkStatus();
}

bool Tenants::TryGrow(Tenant& tenant) {
  allocated_ = absl::OkStatus();
  if (Grow(tenant).ok()) return true;
  if (allocated_.ok()) return false;  // others have all there is
  if (const auto unlogged = no_memory_log_.Take(clock_.Now()); unlogged.has_value()) {
    LogWarning("tenant ", tenant.name,
               " gets less memory than its quota: ", std::string(allocated_.message()),
               "; free memory of this machine, or start with a smaller --arena",
               NotLogged(*unlogged));
  }
  return false;
}

bool Tenants::ReclaimIdleOfOthers(const Tenant& tenant) {
  for (const std::string& name : pool_.Holders()) {
    if (name == tenant.name) continue;
    Tenant& holder = Find(name);
    const std::optional<std::uint32_t> idle = holder.inventory.TakeIdle();
    if (!idle.has_value()) continue;
    GiveBack(holder, *idle);
    return true;
  }
  return false;
}

void Tenants::GiveBack(Tenant& tenant, std::uint32_t segment) {
  listeners_.withdrawn(tenant, segment);
  pool_.TakeBack(tenant.name, std::move(tenant.segments.extract(segment).mapped()));
}

absl::StatusOr<std::vector<GrantedSlab>> Tenants::Lease(Tenant& tenant, ClientId client,
                                                        std::uint64_t count, std::uint64_t bytes) {
  const bool possible = bytes > 0 && bytes <= memory_.chunk_bytes;
  if (possible) tenant.inventory.EndUntilRoomy(count, bytes);
  while (possible && tenant.inventory.FreeSlabs(bytes) < count && MayGrow(tenant)) {
    if (!TryGrow(tenant)) break;
  }
  auto granted = tenant.inventory.Lease(client, count, bytes);
  if (!granted.ok()) ++tenant.refused_leases_total;
  return granted;
}

bool Tenants::IsRoomy(const Tenant& tenant, std::uint64_t bytes) const {
  if (!tenant.inventory.MayHavePage()) return false;
  if (tenant.inventory.FreeSlabs(bytes) > 0) return tenant.inventory.IsBelowLowMark();
  return MayGrow(tenant) && pool_.free_bytes() >= memory_.chunk_bytes;
}

absl::Time Tenants::Tick(absl::Time now) {
  if (const auto yields = pool_.NextToYield(now)) Find(*yields).inventory.VacateSegment();
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [name, tenant] : tenants_) {
    Inventory& inventory = tenant->inventory;
    if (inventory.IsAboveHighMark() && !inventory.is_ending_groups() && MayGrow(*tenant) &&
        tenant->next_growth <= now) {
      if (!TryGrow(*tenant)) tenant->next_growth = now + kGrowthInterval;
    }
    next = std::min(next, inventory.EvictInBackground(kEvictionsPerTurn));
    if (const auto vacated = inventory.TakeVacated()) GiveBack(*tenant, *vacated);
  }
  return next;
}

SegmentEntry DescribeSegment(const Tenant& tenant, std::uint32_t segment) {
  transport::Segment& memory = *tenant.segments.at(segment);
  const absl::Span<const std::byte> key = memory.remote_key();
  return {segment, memory.memory().size(), std::vector<std::byte>(key.begin(), key.end())};
}

}  // namespace pinboard::cache_service
