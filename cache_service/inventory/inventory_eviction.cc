// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which pages leave, and when: the half of Inventory that makes room.
#include <algorithm>
#include <utility>

#include "base/fault_point.h"
#include "cache_service/fault_points.h"
#include "cache_service/inventory/inventory.h"

namespace pinboard::cache_service {
namespace {

// Looked at of a group that has ended, in one turn: some hundred microseconds.
constexpr std::size_t kPlacesTogether = 4096;

std::uint64_t Share(std::uint64_t bytes, double share) {
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * share);
}

}  // namespace

std::uint64_t Inventory::HighBytes() const {
  return Share(arena_.capacity_bytes(), watermarks_.high);
}

std::uint64_t Inventory::LowBytes() const {
  return Share(arena_.capacity_bytes(), watermarks_.low);
}

std::uint64_t Inventory::PagesOver(std::uint64_t more) const {
  return std::max(used_slabs_ + more, limits_.pages) - limits_.pages;
}

bool Inventory::CanSpare(std::uint64_t count, std::uint64_t bytes) const {
  if (bytes == 0 || bytes > arena_.chunk_bytes()) return false;
  if (arena_.FreeSlabs(bytes) < count || PagesOver(count) > 0) return false;
  const std::uint64_t used_bytes = arena_.used_bytes() + count * Arena::SlabBytes(bytes);
  std::uint64_t held_bytes = used_bytes;
  for (const auto& [slab_bytes, pages] : evictable_) held_bytes -= slab_bytes * pages;
  return used_bytes <= HighBytes() && held_bytes <= arena_.capacity_bytes() / 2;
}

/// False: there is more.
bool Inventory::EndPartOf(GroupId group) {
  for (const SlabIndex index : catalog_.DropGroup(group, kPlacesTogether)) Retire(index);
  return !catalog_.HasGroup(group);
}

/// False: there is more.
bool Inventory::EndSome() {
  while (!ending_.empty() && KeepsGroup(ending_.front())) ending_.pop_front();
  if (!ending_.empty() && EndPartOf(ending_.front())) ending_.pop_front();
  return ending_.empty();
}

void Inventory::EndUntilRoomy(std::uint64_t count, std::uint64_t bytes) {
  while (!ending_.empty() && (arena_.FreeSlabs(bytes) < count || PagesOver(count) > 0)) EndSome();
}

bool Inventory::MakeRoom(std::uint64_t count, std::uint64_t bytes) {
  EndUntilRoomy(count, bytes);
  if (PagesOver(count) > evictable_pages_) return false;
  const std::uint64_t slab_bytes = Arena::SlabBytes(bytes);
  const std::uint64_t available = arena_.FreeSlabs(bytes) + Evictable(slab_bytes);
  if (available < count) {
    const std::vector<ChunkIndex> chunks = ChunksToReclaim(slab_bytes);
    const std::uint64_t per_chunk = arena_.SlabsPerChunk(bytes);
    const std::uint64_t needed = (count - available + per_chunk - 1) / per_chunk;
    if (chunks.size() < needed) return false;
    for (std::uint64_t i = 0; i < needed; ++i) EvictChunk(chunks[i]);
  }
  while (arena_.FreeSlabs(bytes) < count) {
    const auto first = order_.First(slab_bytes, [this](SlabAddress slab) { return Judge(slab); });
    Evict(arena_.IndexOf(first->slab), EvictionCause::kSameSize);
  }
  while (PagesOver(count) > 0) {
    const auto first = order_.First([this](SlabAddress slab) { return Judge(slab); });
    Evict(arena_.IndexOf(first->slab), EvictionCause::kQuota);
  }
  return true;
}

std::vector<ChunkIndex> Inventory::ChunksToReclaim(std::uint64_t slab_bytes) const {
  std::vector<std::pair<double, ChunkIndex>> candidates;
  for (std::uint32_t i = 0; i < arena_.chunks(); ++i) {
    const ChunkIndex chunk(i);
    const ChunkValue& value = chunk_values_[i];
    if (value.evictable == 0 || value.evictable != arena_.UsedSlabs(chunk)) continue;
    if (arena_.SlabBytesOf(chunk) == slab_bytes || arena_.IsRetired(chunk)) continue;
    candidates.emplace_back(static_cast<double>(value.information) / value.evictable, chunk);
  }
  std::sort(candidates.begin(), candidates.end());
  std::vector<ChunkIndex> chunks;
  chunks.reserve(candidates.size());
  for (const auto& [information, chunk] : candidates) chunks.push_back(chunk);
  return chunks;
}

absl::Time Inventory::EvictInBackground(int pages) {
  if (!EndSome()) return absl::InfinitePast();
  if (!EvictFromVacated(pages)) return absl::InfinitePast();
  const absl::Time now = clock_.Now();
  const auto judge = [this](SlabAddress slab) { return Judge(slab); };
  while (const std::optional<EvictionOrder::Entry> first = order_.First(judge)) {
    const absl::Time expires = policy_->Expires(slabs_[first->slab].candidate());
    const bool expired = expires <= now;
    if (!expired && !IsAboveWatermarks()) return expires;
    if (pages-- == 0) return absl::InfinitePast();
    Evict(arena_.IndexOf(first->slab),
          expired ? EvictionCause::kExpired : EvictionCause::kWatermark);
  }
  return absl::InfiniteFuture();
}

bool Inventory::IsAboveWatermarks() {
  if (IsAboveHighMark()) above_watermarks_ = true;
  if (arena_.used_bytes() <= LowBytes()) above_watermarks_ = false;
  // What is offered to others cannot leave yet: for more than the high mark asks, no better pages
  // leave in its stead.
  return above_watermarks_ &&
         arena_.used_bytes() > std::min(HighBytes(), LowBytes() + offered_bytes_);
}

std::optional<std::int64_t> Inventory::Judge(SlabAddress address) {
  Slab& slab = slabs_[address];
  slab.in_order = slab.pins == 0;
  if (!slab.in_order) return std::nullopt;
  return policy_->Value(slab.candidate());
}

void Inventory::Evict(SlabIndex index, EvictionCause cause) {
  const Slab& slab = SlabOf(index);
  catalog_.Remove(slab.group, {slab.header.key, slab.header.generation}, MissCause::kEvicted);
  FaultPoint(fault::kEvicting);
  Retire(index);
  ++counts_.evictions_total[static_cast<int>(cause)];
}

void Inventory::EvictChunk(ChunkIndex chunk) {
  // Closes with its last page.
  for (std::uint32_t slot = 0; slabs_.IsOpen(chunk); ++slot) {
    const SlabAddress slab{chunk, slot};
    if (slabs_[slab].state == SlabState::kFree) continue;
    Evict(arena_.IndexOf(slab), EvictionCause::kOtherSize);
  }
}

void Inventory::MayLeave(SlabIndex index) {
  const SlabAddress address = arena_.AddressOf(index);
  Slab& slab = slabs_[address];
  if (!slab.in_order) {
    slab.in_order = true;
    order_.Add({{policy_->Value(slab.candidate()), slab.serial}, address},
               arena_.SlabBytesOf(address.chunk), slabs_.SlabsOf(address.chunk));
  }
  if (staying_.has_value()) MayStay(address);
  ChunkValue& value = chunk_values_[address.chunk.value()];
  if (!arena_.IsRetired(address.chunk)) ++*value.evictable_of_size;
  ++evictable_pages_;
  ++value.evictable;
  value.information += slab.mean_information;
}

void Inventory::MayNotLeave(SlabAddress address) {
  ChunkValue& value = chunk_values_[address.chunk.value()];
  if (!arena_.IsRetired(address.chunk)) --*value.evictable_of_size;
  --evictable_pages_;
  --value.evictable;
  value.information -= slabs_[address].mean_information;
}

void Inventory::Retire(SlabIndex index) {
  Slab& slab = SlabOf(index);
  slab.state = SlabState::kRetired;
  if (slab.spilled) --counts_.spilled_pages;
  if (slab.in_order) {
    slab.in_order = false;
    order_.Remove(arena_.AddressOf(index));
  }
  ForgetLeaving(arena_.AddressOf(index));
  if (slab.pins > 0) return;
  MayNotLeave(arena_.AddressOf(index));
  Free(index);
}

}  // namespace pinboard::cache_service
