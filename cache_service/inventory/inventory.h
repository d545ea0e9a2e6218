// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a tenant has in the service and who holds it: the states of every slab, without any I/O.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "cache_service/inventory/arena.h"
#include "cache_service/inventory/catalog.h"
#include "cache_service/inventory/eviction_order.h"
#include "cache_service/inventory/eviction_policy.h"
#include "cache_service/inventory/inspection.h"
#include "cache_service/inventory/slab_table.h"
#include "cache_service/inventory/tenant_limits.h"
#include "cache_service/inventory/watermarks.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// Why a page left that nobody dropped.
enum class EvictionCause : std::uint8_t {
  kSameSize,   // to make room for a page of its size
  kOtherSize,  // to make room for pages of another size
  kWatermark,  // in the background
  kExpired,    // its policy's time had come
  kQuota,      // the tenant may have no more pages
  kReclaimed,  // its segment goes to another tenant
};
inline constexpr int kEvictionCauses = 6;

/// A slab as a client is told of it.
struct GrantedSlab {
  SlabId slab;
  SlabPlace place;
};

/// A page of any group by name.
struct NamedPage {
  GroupId group;
  PageRef page;
};

/// Where a page came from that no client published here.
struct PageOrigin {
  /// The member that it was read from. 0: it is this one's own.
  std::uint16_t source = 0;
  /// It had no room there. Here it counts as never used until it is fetched.
  bool spilled = false;
};

/// What is where now, and what has happened since the start.
struct InventoryCounts {
  std::uint64_t capacity_bytes = 0;
  std::uint64_t used_bytes = 0;      // in slabs that are not free
  std::uint64_t assigned_bytes = 0;  // in chunks with such a slab; the difference is fragmentation
  std::uint64_t leased_slabs = 0;
  std::uint64_t quarantined_slabs = 0;
  std::uint64_t published_pages = 0;
  std::uint64_t extents = 0;  // with a page that is or was there
  std::uint64_t pins = 0;
  std::uint64_t leases_total = 0;         // slabs
  std::uint64_t pages_dropped_total = 0;  // that could be fetched until a client dropped them
  std::uint64_t pages_published_total = 0;
  std::uint64_t bytes_published_total = 0;
  std::uint64_t stale_publishes_total = 0;
  std::uint64_t refused_publishes_total = 0;  // the tenant may have no more extents
  std::uint64_t lookups_total = 0;
  std::uint64_t spilled_pages = 0;          // of other members, of those published
  std::uint64_t spilled_fetches_total = 0;  // that found one
  std::array<std::uint64_t, kEvictionCauses> evictions_total{};

  InventoryCounts& operator+=(const InventoryCounts& other);
};

/// Slabs move: free -> leased -> published -> free; a published slab that is pinned, or a leased
/// one whose client is lost, is not reused before the last pin ends, or the client is removed.
/// Pages belong to their group and sequence: any client of the group may fetch and drop them.
/// Memory comes in segments, which may be added and taken away at any time.
///
/// A status other than Ok and ResourceExhausted means that the client broke the protocol, and that
/// nothing was changed for it. Thread-compatible.
class Inventory {
 public:
  /// `clock` must outlive this.
  Inventory(Arena arena, EvictionPolicyPtr policy, const Watermarks& watermarks,
            const Clock& clock);
  Inventory(Inventory&&) = default;  // and no copy: chunk_values_ points into evictable_

  /// What the tenant may have from now on; `bytes` and `priority` are not looked at. Above the
  /// pages, pages of the lowest value leave as new ones are leased.
  void SetLimits(const TenantLimits& limits) { limits_ = limits; }

  /// More room. Requires `segment` to be new.
  void AddSegment(std::uint32_t segment, std::uint64_t bytes);
  /// Picks the segment that is emptied most easily: nothing new goes there, and its pages leave in
  /// the background. Does nothing where one is being vacated, or there is none.
  void VacateSegment();
  /// A segment in which nothing is, and of which the inventory knows no more from now on; of those
  /// being vacated, or any.
  std::optional<std::uint32_t> TakeVacated();
  std::optional<std::uint32_t> TakeIdle();
  /// Whether pages are about to leave for want of room.
  bool IsAboveHighMark() const { return arena_.used_bytes() > HighBytes(); }
  bool IsBelowLowMark() const { return arena_.used_bytes() < LowBytes(); }
  /// Whether the tenant may have a page more than there are.
  bool MayHavePage() const { return PagesOver(1) == 0; }
  std::uint64_t FreeSlabs(std::uint64_t bytes) const { return arena_.FreeSlabs(bytes); }

  /// Requires `client` to be new.
  void AddClient(ClientId client, GroupId group);
  /// The client is lost but its process may still write and read: its leases are quarantined, its
  /// pins stay.
  void Quarantine(ClientId client);
  /// Whether it has a lease or a pin.
  bool HoldsAny(ClientId client) const;
  /// The client let go, or its process is proven dead: everything it holds ends. The pages of a
  /// group leave with its last client: some at once, the others by and by in EvictInBackground, or
  /// before a lease makes others leave. A client that comes meanwhile keeps what is left.
  void RemoveClient(ClientId client);

  /// What is left of groups that have ended leaves until there is room for as many, or nothing is.
  void EndUntilRoomy(std::uint64_t count, std::uint64_t bytes);
  bool is_ending_groups() const { return !ending_.empty(); }

  /// All or none; pages of the lowest value leave to make room. ResourceExhausted: too much is
  /// leased, pinned or quarantined; no page has left for it.
  absl::StatusOr<std::vector<GrantedSlab>> Lease(ClientId client, std::uint64_t count,
                                                 std::uint64_t bytes);
  /// The same for who does not need them yet: only of what is free below the high watermark, while
  /// clients hold less than half of what is there, so that nobody misses them.
  absl::StatusOr<std::vector<GrantedSlab>> LeaseAhead(ClientId client, std::uint64_t count,
                                                      std::uint64_t bytes);
  absl::Status Return(ClientId client, SlabId slab);
  /// Ends the lease. A stale page (its generation, or a later one, was there) is counted and freed.
  absl::Status Publish(ClientId client, SlabId slab, const PageHeader& header);
  /// The same, one after the other, until the first error; `published` after each. What is kept of
  /// many pages comes into the cache at once.
  absl::Status Publish(ClientId client, absl::Span<const PublishedPage> pages,
                       absl::FunctionRef<void(const PageHeader&)> published);
  /// The same for another group than the client's: a page of another member. Ends the lease.
  enum class Publication : std::uint8_t { kPublished, kStale, kRefused };
  absl::StatusOr<Publication> PublishCopy(ClientId client, SlabId slab, const PageHeader& header,
                                          GroupId group, PageOrigin origin);

  struct PinResult {
    MissCause miss = MissCause::kUnknown;
    GrantedSlab slab;                    // where miss is kNone
    const PageHeader* header = nullptr;  // likewise; while the page is pinned
  };
  /// Whether it could be pinned, or why not; nothing is counted.
  MissCause Find(GroupId group, const PageRef& page) const {
    return catalog_.Find(group, page).miss;
  }
  PinResult Pin(ClientId client, const PageRef& page);
  absl::Status Unpin(ClientId client, SlabId slab);
  /// The same, one after the other; what is kept of many pages comes into the cache at once.
  /// `pinned` must not call this inventory.
  void Pin(ClientId client, absl::Span<const PageRef> pages,
           absl::FunctionRef<void(std::size_t page, const PinResult&)> pinned);
  /// The same for another group than the client's.
  void Pin(ClientId client, GroupId group, absl::Span<const PageRef> pages,
           absl::FunctionRef<void(std::size_t page, const PinResult&)> pinned);
  /// The same for another group, and it is no use of the page: it is copied to another member.
  PinResult PinToCopy(ClientId client, GroupId group, const PageRef& page);
  /// Ends at the first error.
  absl::Status Unpin(ClientId client, absl::Span<const SlabId> slabs);

  /// Keeps a group's pages as a client of it would, until as many releases.
  void HoldGroup(GroupId group) { ++group_clients_[group]; }
  void ReleaseGroup(GroupId group);
  /// Whether it has a client, or is held: others' pages are forgotten.
  bool KeepsGroup(GroupId group) const { return group_clients_.contains(group); }
  /// Those of which anything is known, and how often that has changed.
  std::vector<GroupId> GroupsWithPages() const { return catalog_.groups(); }
  std::uint64_t group_changes() const { return catalog_.group_changes(); }

  void Drop(ClientId client, const PageRef& page) { Drop(clients_.at(client).group, page); }
  void DropSequence(ClientId client, std::uint64_t sequence) {
    DropSequence(clients_.at(client).group, sequence);
  }
  void Drop(GroupId group, const PageRef& page);
  void DropSequence(GroupId group, std::uint64_t sequence);

  /// Lets up to `pages` pages leave that are in a segment that is being vacated, have expired or
  /// are above the watermarks. When to be called again: at once (InfinitePast) where more are to
  /// leave, or as the first page expires.
  absl::Time EvictInBackground(int pages);

  std::uint32_t chunks() const { return arena_.chunks(); }
  /// Each page of a chunk (counted from 0) that can be fetched and was not named, with its value
  /// now: those of the lowest leave first.
  void ForEachUnnamed(std::uint32_t chunk,
                      absl::FunctionRef<void(SlabId, std::int64_t value)> see) const;
  /// Nothing where it has left since it was seen.
  std::optional<NamedPage> Name(SlabId id);

  /// Goes through up to `most` slabs, `from` and those after it. For each page that can be fetched:
  /// whether it is this member's own from now on, if it was not. Where to go on, or nothing at the
  /// end.
  std::optional<SlabAddress> VisitPages(
      SlabAddress from, std::uint32_t most,
      absl::FunctionRef<bool(const NamedPage&, const PageOrigin&)> becomes_own);

  /// Keeps what NameLeaving needs from now on. Requires no page to be there.
  void FollowLeaving() { staying_.emplace(arena_.chunks()); }
  /// Of the pages that leave once the high watermark is passed, those not seen before, lowest
  /// first; only this member's own are named. Looks at no more than `most`.
  std::vector<NamedPage> NameLeaving(std::size_t most);

  /// What is known of extents, some hundred at a time (inspection.h).
  InspectReply Inspect(std::uint64_t cursor) const {
    return InspectExtents(catalog_, cursor,
                          [this](SlabIndex index) -> const Slab& { return SlabOf(index); });
  }

  InventoryCounts counts() const;

 private:
  /// A slab knows one client that holds it, and its place among those: so most are found, added and
  /// removed without a search.
  struct Client {
    GroupId group;
    std::uint32_t number = 0;  // in slabs; never given again
    std::vector<SlabIndex> leases;
    std::vector<SlabIndex> pinned;                              // which it holds
    absl::flat_hash_map<SlabIndex, std::uint32_t> also_pinned;  // which another one held first
  };
  /// The pages of a chunk that could leave.
  struct ChunkValue {
    std::uint32_t evictable = 0;
    std::int64_t information = 0;
    std::uint64_t* evictable_of_size = nullptr;  // where its slabs' size is counted; while open
  };

  static SlabIndex IndexOf(SlabId slab) {
    return SlabIndex(static_cast<std::uint32_t>(slab.value()));
  }
  static SlabId IdOf(SlabIndex index, const Slab& slab) {
    return SlabId(std::uint64_t{slab.serial} << 32 | index.value());
  }
  void Hold(const Client& holder, std::vector<SlabIndex>& held, SlabIndex index);
  void LetGo(std::vector<SlabIndex>& held, SlabIndex index);
  absl::Status CheckLease(const Client& holder, SlabId id) const;
  void EndLease(Client& holder, SlabIndex index);
  Slab& SlabOf(SlabIndex index) { return slabs_[arena_.AddressOf(index)]; }
  const Slab& SlabOf(SlabIndex index) const { return slabs_[arena_.AddressOf(index)]; }

  /// Requires that there is one.
  SlabIndex Allocate(std::uint64_t bytes);
  void PrefetchForPublication(GroupId group, absl::Span<const PublishedPage> pages) const;
  absl::StatusOr<Publication> Publish(Client& holder, SlabId slab, const PageHeader& header,
                                      GroupId group, PageOrigin origin, std::int64_t now_ns);
  /// Without `used_ns` it is no use of the page.
  PinResult Pin(Client& holder, const Catalog::Lookup& found, std::optional<std::int64_t> used_ns);
  absl::Status Unpin(Client& holder, SlabId id);
  std::uint64_t HighBytes() const;
  std::uint64_t LowBytes() const;
  std::uint64_t PagesOver(std::uint64_t more) const;
  bool CanSpare(std::uint64_t count, std::uint64_t bytes) const;
  bool MakeRoom(std::uint64_t count, std::uint64_t bytes);
  bool EvictFromVacated(int& pages);
  bool EndPartOf(GroupId group);
  bool EndSome();
  std::uint32_t RemoveSegment(std::uint32_t segment);
  std::vector<ChunkIndex> ChunksToReclaim(std::uint64_t slab_bytes) const;
  /// A page's value now, or nothing, and it leaves the order: it is pinned.
  std::optional<std::int64_t> Judge(SlabAddress address);
  bool IsAboveWatermarks();
  std::uint64_t Evictable(std::uint64_t slab_bytes) const {
    const auto found = evictable_.find(slab_bytes);
    return found == evictable_.end() ? 0 : found->second;
  }
  void Evict(SlabIndex index, EvictionCause cause);
  void EvictChunk(ChunkIndex chunk);
  void MayLeave(SlabIndex index);
  void MayNotLeave(SlabAddress address);
  void MayStay(SlabAddress address);
  void StopLeaving(SlabAddress address);
  void ForgetLeaving(SlabAddress address);
  void Retire(SlabIndex index);
  void EndPin(SlabIndex index, std::uint32_t pins);
  void Free(SlabIndex index);

  Arena arena_;
  const EvictionPolicyPtr policy_;
  const Watermarks watermarks_;
  TenantLimits limits_;
  const Clock& clock_;
  Catalog catalog_;
  SlabTable slabs_;
  EvictionOrder order_;                   // pages without pins, and some with
  std::optional<EvictionOrder> staying_;  // the same of those that are not leaving; if followed
  std::uint64_t leaving_bytes_ = 0;
  std::uint64_t offered_bytes_ = 0;  // of those, with pins: they leave when these end
  // Pages without pins, by slab bytes; not those in retired chunks. Chunks point into it.
  std::map<std::uint64_t, std::uint64_t> evictable_;
  std::uint64_t evictable_pages_ = 0;  // all pages without pins
  std::uint64_t used_slabs_ = 0;
  std::vector<ChunkValue> chunk_values_;
  absl::flat_hash_map<ClientId, Client> clients_;
  std::uint32_t last_client_ = 0;
  absl::flat_hash_map<GroupId, std::uint32_t> group_clients_;
  std::deque<GroupId> ending_;  // those that had more pages than leave at once
  std::uint32_t next_serial_ = 1;
  std::optional<std::uint32_t> vacating_;  // a retired segment
  bool above_watermarks_ = false;          // since the high mark was passed
  InventoryCounts counts_;
};

}  // namespace pinboard::cache_service
