// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which pages leave, and when: the half of Inventory that makes room.
#include <algorithm>
#include <utility>

#include "cache_service/inventory/inventory.h"

namespace pinboard::cache_service {

bool Inventory::MakeRoom(std::uint64_t count, std::uint64_t bytes) {
  const std::uint64_t slab_bytes = Arena::SlabBytes(bytes);
  const std::uint64_t available = arena_.FreeSlabs(bytes) + size_classes_[slab_bytes].evictable;
  if (available < count) {
    const std::vector<ChunkIndex> chunks = ChunksToReclaim(slab_bytes);
    const std::uint64_t per_chunk = arena_.SlabsPerChunk(bytes);
    const std::uint64_t needed = (count - available + per_chunk - 1) / per_chunk;
    if (chunks.size() < needed) return false;
    const absl::flat_hash_set<ChunkIndex> leaving(chunks.begin(), chunks.begin() + needed);
    std::vector<SlabIndex> evicted;
    for (const auto& [index, slab] : slabs_) {
      if (leaving.contains(arena_.ChunkOf(index))) evicted.push_back(index);
    }
    for (const SlabIndex index : evicted) Evict(index, EvictionCause::kOtherSize);
  }
  while (arena_.FreeSlabs(bytes) < count) {
    const auto first = FirstToLeave(size_classes_[slab_bytes]);
    Evict(IndexOf(first->slab), EvictionCause::kSameSize);
  }
  return true;
}

std::vector<ChunkIndex> Inventory::ChunksToReclaim(std::uint64_t slab_bytes) const {
  std::vector<std::pair<double, ChunkIndex>> candidates;
  for (std::uint32_t i = 0; i < arena_.chunks(); ++i) {
    const ChunkIndex chunk(i);
    const ChunkValue& value = chunk_values_[i];
    if (value.evictable == 0 || value.evictable != arena_.UsedSlabs(chunk)) continue;
    if (arena_.SlabBytesOf(chunk) == slab_bytes) continue;
    candidates.emplace_back(static_cast<double>(value.information) / value.evictable, chunk);
  }
  std::sort(candidates.begin(), candidates.end());
  std::vector<ChunkIndex> chunks;
  chunks.reserve(candidates.size());
  for (const auto& [information, chunk] : candidates) chunks.push_back(chunk);
  return chunks;
}

absl::Time Inventory::EvictInBackground(int pages) {
  const absl::Time now = clock_.Now();
  while (const std::optional<EvictionOrder::Entry> first = FirstToLeave()) {
    const SlabIndex index = IndexOf(first->slab);
    const absl::Time expires = policy_->Expires(CandidateOf(slabs_.at(index)));
    const bool expired = expires <= now;
    if (!expired && !IsAboveWatermarks()) return expires;
    if (pages-- == 0) return absl::InfinitePast();
    Evict(index, expired ? EvictionCause::kExpired : EvictionCause::kWatermark);
  }
  return absl::InfiniteFuture();
}

bool Inventory::IsAboveWatermarks() {
  if (arena_.used_bytes() > high_bytes_) above_watermarks_ = true;
  if (arena_.used_bytes() <= low_bytes_) above_watermarks_ = false;
  return above_watermarks_;
}

std::optional<EvictionOrder::Entry> Inventory::FirstToLeave() {
  std::optional<EvictionOrder::Entry> first;
  for (auto size_class = size_classes_.begin(); size_class != size_classes_.end();) {
    const auto candidate = FirstToLeave(size_class->second);
    if (!candidate.has_value()) {
      size_class = size_classes_.erase(size_class);
      continue;
    }
    if (!first.has_value() || *candidate < *first) first = candidate;
    ++size_class;
  }
  return first;
}

std::optional<EvictionOrder::Entry> Inventory::FirstToLeave(SizeClass& size_class) {
  return size_class.order.First(
      [this](const EvictionOrder::Entry& entry) -> std::optional<std::int64_t> {
        Slab& slab = slabs_.at(IndexOf(entry.slab));
        slab.in_order = slab.pins == 0;
        if (!slab.in_order) return std::nullopt;
        slab.order_value = policy_->Value(CandidateOf(slab));
        return slab.order_value;
      });
}

void Inventory::Evict(SlabIndex index, EvictionCause cause) {
  const Slab& slab = slabs_.at(index);
  catalog_.Remove(slab.group, {slab.header.key, slab.header.generation}, MissCause::kEvicted);
  Retire(index);
  ++counts_.evictions_total[static_cast<int>(cause)];
}

void Inventory::MayLeave(SlabIndex index) {
  Slab& slab = slabs_.at(index);
  SizeClass& size_class = size_classes_[arena_.Place(index).bytes];
  ++size_class.evictable;
  if (!slab.in_order) {
    slab.in_order = true;
    slab.order_value = policy_->Value(CandidateOf(slab));
    size_class.order.Add({slab.order_value, IdOf(index)});
  }
  ChunkValue& value = chunk_values_[arena_.ChunkOf(index).value()];
  ++value.evictable;
  value.information += slab.header.mean_information;
}

void Inventory::MayNotLeave(SlabIndex index) {
  --size_classes_[arena_.Place(index).bytes].evictable;
  ChunkValue& value = chunk_values_[arena_.ChunkOf(index).value()];
  --value.evictable;
  value.information -= slabs_.at(index).header.mean_information;
}

void Inventory::Retire(SlabIndex index) {
  Slab& slab = slabs_.at(index);
  slab.state = SlabState::kRetired;
  if (slab.in_order) {
    slab.in_order = false;
    size_classes_[arena_.Place(index).bytes].order.Remove({slab.order_value, IdOf(index)});
  }
  if (slab.pins > 0) return;
  MayNotLeave(index);
  Free(index);
}

}  // namespace pinboard::cache_service
