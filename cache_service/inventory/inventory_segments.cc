// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Memory that comes and goes: the half of Inventory that deals in segments.
#include <algorithm>
#include <utility>

#include "cache_service/inventory/inventory.h"

namespace pinboard::cache_service {

void Inventory::AddSegment(std::uint32_t segment, std::uint64_t bytes) {
  arena_.AddSegment(segment, bytes);
  slabs_.Grow(arena_.chunks());
  order_.Grow(arena_.chunks());
  if (staying_.has_value()) staying_->Grow(arena_.chunks());
  chunk_values_.resize(arena_.chunks());
}

void Inventory::VacateSegment() {
  if (vacating_.has_value()) return;
  // Held slabs cannot be made to leave: of those the fewest, then the fewest pages.
  std::pair<std::uint64_t, std::uint64_t> least;
  std::optional<std::uint32_t> easiest;
  for (const auto& [segment, use] : arena_.segments()) {
    std::pair<std::uint64_t, std::uint64_t> held_and_pages{0, 0};
    for (const ChunkIndex chunk : use.chunks) {
      const std::uint32_t pages = chunk_values_[chunk.value()].evictable;
      held_and_pages.first += arena_.UsedSlabs(chunk) - pages;
      held_and_pages.second += pages;
    }
    if (easiest.has_value() && held_and_pages >= least) continue;
    least = held_and_pages;
    easiest = segment;
  }
  if (!easiest.has_value()) return;
  for (const ChunkIndex chunk : arena_.segments().at(*easiest).chunks) {
    const ChunkValue& value = chunk_values_[chunk.value()];
    if (value.evictable > 0) *value.evictable_of_size -= value.evictable;
  }
  arena_.RetireSegment(*easiest);
  vacating_ = easiest;
}

bool Inventory::EvictFromVacated(int& pages) {
  if (!vacating_.has_value()) return true;
  for (const ChunkIndex chunk : arena_.segments().at(*vacating_).chunks) {
    for (std::uint32_t slot = 0; chunk_values_[chunk.value()].evictable > 0; ++slot) {
      const Slab& slab = slabs_[{chunk, slot}];
      if (slab.state != SlabState::kPublished || slab.pins > 0) continue;
      if (pages-- == 0) return false;
      Evict(arena_.IndexOf({chunk, slot}), EvictionCause::kReclaimed);
    }
  }
  return true;
}

std::uint32_t Inventory::RemoveSegment(std::uint32_t segment) {
  if (vacating_ == segment) vacating_.reset();
  arena_.RemoveSegment(segment);
  return segment;
}

std::optional<std::uint32_t> Inventory::TakeVacated() {
  if (!vacating_.has_value()) return std::nullopt;
  if (arena_.segments().at(*vacating_).used_chunks > 0) return std::nullopt;
  return RemoveSegment(*vacating_);
}

std::optional<std::uint32_t> Inventory::TakeIdle() {
  for (const auto& [segment, use] : arena_.segments()) {
    if (use.used_chunks > 0) continue;
    if (!use.retired) arena_.RetireSegment(segment);
    return RemoveSegment(segment);
  }
  return std::nullopt;
}

}  // namespace pinboard::cache_service
