// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/inventory.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::cache_service {

Inventory::Inventory(Arena arena, EvictionPolicyPtr policy, const Watermarks& watermarks,
                     const Clock& clock)
    : arena_(std::move(arena)),
      policy_(std::move(policy)),
      watermarks_(watermarks),
      clock_(clock),
      slabs_(arena_.chunks()),
      order_(arena_.chunks()),
      chunk_values_(arena_.chunks()) {}

void Inventory::AddClient(ClientId client, GroupId group) {
  Client& added = clients_[client];
  added.group = group;
  added.number = ++last_client_;
  ++group_clients_[group];
}

void Inventory::Quarantine(ClientId client) {
  for (const SlabIndex index : clients_.at(client).leases) {
    SlabOf(index).state = SlabState::kQuarantined;
    --counts_.leased_slabs;
    ++counts_.quarantined_slabs;
  }
}

bool Inventory::HoldsAny(ClientId client) const {
  const Client& holder = clients_.at(client);
  return !holder.leases.empty() || !holder.pinned.empty() || !holder.also_pinned.empty();
}

void Inventory::RemoveClient(ClientId client) {
  const auto found = clients_.find(client);
  const Client gone = std::move(found->second);
  clients_.erase(found);
  for (const SlabIndex index : gone.leases) {
    const bool leased = SlabOf(index).state == SlabState::kLeased;
    --(leased ? counts_.leased_slabs : counts_.quarantined_slabs);
    Free(index);
  }
  for (const SlabIndex index : gone.pinned) {
    SlabOf(index).holder = 0;
    EndPin(index, std::exchange(SlabOf(index).holder_pins, 0));
  }
  for (const auto& [index, pins] : gone.also_pinned) EndPin(index, pins);
  ReleaseGroup(gone.group);
}

void Inventory::ReleaseGroup(GroupId group) {
  if (--group_clients_.at(group) > 0) return;
  group_clients_.erase(group);
  if (!EndPartOf(group)) ending_.push_back(group);
}

absl::StatusOr<std::vector<GrantedSlab>> Inventory::Lease(ClientId client, std::uint64_t count,
                                                          std::uint64_t bytes) {
  if (bytes == 0 || bytes > arena_.chunk_bytes()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a page of ", bytes, " bytes: 1 to ", arena_.chunk_bytes(), " fit"));
  }
  if (!MakeRoom(count, bytes)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no room for ", count, " pages of ", bytes, " bytes: of the ", arena_.capacity_bytes(),
        " bytes that are there too many are leased or pinned; give it a larger arena or quota"));
  }
  std::vector<GrantedSlab> granted;
  granted.reserve(count);
  Client& holder = clients_.at(client);
  std::array<SlabIndex, kSlabsTogether> allocated;
  for (std::uint64_t begin = 0; begin < count; begin += kSlabsTogether) {
    const auto part = absl::MakeSpan(allocated).subspan(0, count - begin);
    for (SlabIndex& index : part) index = Allocate(bytes);
    for (const SlabIndex index : part) {
      const SlabAddress address = arena_.AddressOf(index);
      Slab& slab = slabs_[address];
      slab.BeLeased(next_serial_++, holder.group);
      Hold(holder, holder.leases, index);
      granted.push_back({IdOf(index, slab), arena_.Place(address)});
    }
  }
  counts_.leased_slabs += count;
  used_slabs_ += count;
  counts_.leases_total += count;
  return granted;
}

SlabIndex Inventory::Allocate(std::uint64_t bytes) {
  const SlabIndex index = *arena_.Allocate(bytes);
  const SlabAddress address = arena_.AddressOf(index);
  if (!slabs_.IsOpen(address.chunk)) {
    slabs_.Open(address.chunk, arena_.SlabsPerChunk(bytes));
    chunk_values_[address.chunk.value()].evictable_of_size = &evictable_[Arena::SlabBytes(bytes)];
  }
  __builtin_prefetch(&slabs_[address]);
  return index;
}

absl::StatusOr<std::vector<GrantedSlab>> Inventory::LeaseAhead(ClientId client, std::uint64_t count,
                                                               std::uint64_t bytes) {
  if (CanSpare(count, bytes)) return Lease(client, count, bytes);
  return absl::ResourceExhaustedError("nothing to spare");
}

void Inventory::Free(SlabIndex index) {
  SlabOf(index).state = SlabState::kFree;
  --used_slabs_;
  arena_.Free(index);
  const ChunkIndex chunk = arena_.AddressOf(index).chunk;
  if (arena_.UsedSlabs(chunk) == 0) slabs_.Close(chunk);
}

void Inventory::Hold(const Client& holder, std::vector<SlabIndex>& held, SlabIndex index) {
  Slab& slab = SlabOf(index);
  slab.holder = holder.number;
  slab.place = static_cast<std::uint32_t>(held.size());
  held.push_back(index);
}

void Inventory::LetGo(std::vector<SlabIndex>& held, SlabIndex index) {
  Slab& slab = SlabOf(index);
  slab.holder = 0;
  SlabOf(held.back()).place = slab.place;
  held[slab.place] = held.back();
  held.pop_back();
}

absl::Status Inventory::CheckLease(const Client& holder, SlabId id) const {
  const SlabAddress address = arena_.AddressOf(IndexOf(id));
  if (slabs_.Has(address)) {
    const Slab& slab = slabs_[address];
    if (slab.state == SlabState::kLeased && slab.holder == holder.number &&
        IdOf(IndexOf(id), slab) == id) {
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("slab ", id.value(), " is not leased to you"));
}

void Inventory::EndLease(Client& holder, SlabIndex index) {
  LetGo(holder.leases, index);
  --counts_.leased_slabs;
}

absl::Status Inventory::Return(ClientId client, SlabId slab) {
  Client& holder = clients_.at(client);
  PB_RETURN_IF_ERROR(CheckLease(holder, slab));
  EndLease(holder, IndexOf(slab));
  Free(IndexOf(slab));
  return absl::OkStatus();
}

absl::Status Inventory::Publish(ClientId client, SlabId slab, const PageHeader& header) {
  return PublishCopy(client, slab, header, clients_.at(client).group, {}).status();
}

absl::StatusOr<Inventory::Publication> Inventory::PublishCopy(ClientId client, SlabId slab,
                                                              const PageHeader& header,
                                                              GroupId group, PageOrigin origin) {
  return Publish(clients_.at(client), slab, header, group, origin, absl::ToUnixNanos(clock_.Now()));
}

absl::Status Inventory::Publish(ClientId client, absl::Span<const PublishedPage> pages,
                                absl::FunctionRef<void(const PageHeader&)> published) {
  Client& holder = clients_.at(client);
  const std::int64_t now_ns = absl::ToUnixNanos(clock_.Now());
  for (std::size_t begin = 0; begin < pages.size(); begin += kSlabsTogether) {
    const auto part = pages.subspan(begin, kSlabsTogether);
    PrefetchForPublication(holder.group, part);
    for (const PublishedPage& page : part) {
      PB_RETURN_IF_ERROR(
          Publish(holder, SlabId(page.slab), page.header, holder.group, {}, now_ns).status());
      published(page.header);
    }
  }
  return absl::OkStatus();
}

void Inventory::PrefetchForPublication(GroupId group, absl::Span<const PublishedPage> pages) const {
  std::array<PageRef, kSlabsTogether> refs;
  std::array<const ExtentPage*, kSlabsTogether> places;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    refs[i] = {pages[i].header.key, pages[i].header.generation};
    const SlabAddress address = arena_.AddressOf(IndexOf(SlabId(pages[i].slab)));
    if (slabs_.Has(address)) Prefetch(slabs_[address]);
  }
  catalog_.Locate(group, absl::MakeSpan(refs).subspan(0, pages.size()),
                  absl::MakeSpan(places).subspan(0, pages.size()));
  for (std::size_t i = 0; i < pages.size(); ++i) {
    // The slab of the page that this one replaces.
    if (places[i] != nullptr && places[i]->gone == MissCause::kNone) {
      __builtin_prefetch(&SlabOf(places[i]->slab));
    }
  }
}

absl::StatusOr<Inventory::Publication> Inventory::Publish(Client& holder, SlabId slab_id,
                                                          const PageHeader& header, GroupId group,
                                                          PageOrigin origin, std::int64_t now_ns) {
  PB_RETURN_IF_ERROR(CheckLease(holder, slab_id));
  const SlabIndex index = IndexOf(slab_id);
  if (header.bytes == 0 || header.bytes > arena_.Place(index).bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a page of ", header.bytes, " bytes does not fit its slab"));
  }
  EndLease(holder, index);
  const auto lacks_extent = [&] {
    return limits_.extents && catalog_.extents() >= *limits_.extents &&
           catalog_.NeedsExtent(group, header.key);
  };
  while (!ending_.empty() && lacks_extent()) EndSome();
  if (lacks_extent()) {
    ++counts_.refused_publishes_total;
    Free(index);
    return Publication::kRefused;
  }
  const Catalog::InsertResult result =
      catalog_.Insert(group, {header.key, header.generation}, index);
  if (!result.inserted) {
    ++counts_.stale_publishes_total;
    Free(index);
    return Publication::kStale;
  }
  if (result.replaced.has_value()) Retire(*result.replaced);
  Slab& slab = SlabOf(index);
  slab.state = SlabState::kPublished;
  slab.source = origin.source;
  slab.spilled = origin.spilled;
  counts_.spilled_pages += origin.spilled ? 1 : 0;
  slab.group = group;
  slab.header = header;
  slab.mean_information = header.mean_information;
  slab.published_ns = now_ns;
  slab.last_used_ns = origin.spilled ? 0 : now_ns;
  MayLeave(index);
  ++counts_.pages_published_total;
  counts_.bytes_published_total += header.bytes;
  return Publication::kPublished;
}

void Inventory::Drop(GroupId group, const PageRef& page) {
  const std::optional<SlabIndex> slab = catalog_.Remove(group, page, MissCause::kDropped);
  if (!slab.has_value()) return;
  ++counts_.pages_dropped_total;
  Retire(*slab);
}

void Inventory::DropSequence(GroupId group, std::uint64_t sequence) {
  for (const SlabIndex index : catalog_.DropSequence(group, sequence)) {
    ++counts_.pages_dropped_total;
    Retire(index);
  }
}

InventoryCounts Inventory::counts() const {
  InventoryCounts counts = counts_;
  counts.capacity_bytes = arena_.capacity_bytes();
  counts.used_bytes = arena_.used_bytes();
  counts.assigned_bytes = arena_.assigned_bytes();
  counts.published_pages = catalog_.pages();
  counts.extents = catalog_.extents();
  return counts;
}

InventoryCounts& InventoryCounts::operator+=(const InventoryCounts& other) {
  capacity_bytes += other.capacity_bytes;
  used_bytes += other.used_bytes;
  assigned_bytes += other.assigned_bytes;
  leased_slabs += other.leased_slabs;
  quarantined_slabs += other.quarantined_slabs;
  published_pages += other.published_pages;
  extents += other.extents;
  pins += other.pins;
  leases_total += other.leases_total;
  pages_dropped_total += other.pages_dropped_total;
  pages_published_total += other.pages_published_total;
  bytes_published_total += other.bytes_published_total;
  stale_publishes_total += other.stale_publishes_total;
  refused_publishes_total += other.refused_publishes_total;
  lookups_total += other.lookups_total;
  spilled_pages += other.spilled_pages;
  spilled_fetches_total += other.spilled_fetches_total;
  for (int i = 0; i < kEvictionCauses; ++i) evictions_total[i] += other.evictions_total[i];
  return *this;
}

}  // namespace pinboard::cache_service
