// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/arena.h"

namespace pinboard::cache_service {

Arena::Arena(const std::vector<std::uint64_t>& segment_bytes, std::uint64_t chunk_bytes)
    : chunk_bytes_(chunk_bytes),
      max_slabs_(static_cast<std::uint32_t>(chunk_bytes / kSlabAlignment)) {
  for (std::uint32_t segment = 0; segment < segment_bytes.size(); ++segment) {
    for (std::uint64_t offset = 0; offset + chunk_bytes <= segment_bytes[segment];
         offset += chunk_bytes) {
      free_.insert(chunks());
      chunks_.push_back({.segment = segment, .offset = offset});
    }
  }
}

std::uint64_t Arena::SlabsPerChunk(std::uint64_t bytes) const {
  return chunk_bytes_ / SlabBytes(bytes);
}

std::uint64_t Arena::FreeSlabs(std::uint64_t bytes) const {
  const auto found = classes_.find(SlabBytes(bytes));
  const std::uint64_t open = found == classes_.end() ? 0 : found->second.free_slabs;
  return open + free_.size() * SlabsPerChunk(bytes);
}

bool Arena::OpenChunk(std::uint64_t slab_bytes, SizeClass& size_class) {
  if (free_.empty()) return false;
  const std::uint32_t index = *free_.begin();
  free_.erase(free_.begin());
  Chunk& chunk = chunks_[index];
  chunk.slab_bytes = slab_bytes;
  const auto slabs = static_cast<std::uint32_t>(chunk_bytes_ / slab_bytes);
  for (std::uint32_t slot = slabs; slot > 0; --slot) chunk.free_slots.push_back(slot - 1);
  size_class.open_chunks.insert(index);
  size_class.free_slabs += slabs;
  return true;
}

std::optional<SlabIndex> Arena::Allocate(std::uint64_t bytes) {
  const std::uint64_t slab_bytes = SlabBytes(bytes);
  SizeClass& size_class = classes_[slab_bytes];
  if (size_class.open_chunks.empty() && !OpenChunk(slab_bytes, size_class)) {
    classes_.erase(slab_bytes);
    return std::nullopt;
  }
  const std::uint32_t index = *size_class.open_chunks.begin();
  Chunk& chunk = chunks_[index];
  const std::uint32_t slot = chunk.free_slots.back();
  chunk.free_slots.pop_back();
  if (chunk.free_slots.empty()) size_class.open_chunks.erase(index);
  ++chunk.used;
  --size_class.free_slabs;
  used_bytes_ += slab_bytes;
  return SlabIndex(index * max_slabs_ + slot);
}

void Arena::Free(SlabIndex slab) {
  const SlabAddress address = AddressOf(slab);
  const std::uint32_t index = address.chunk.value();
  Chunk& chunk = chunks_[index];
  SizeClass& size_class = classes_[chunk.slab_bytes];
  used_bytes_ -= chunk.slab_bytes;
  ++size_class.free_slabs;
  if (chunk.free_slots.empty()) size_class.open_chunks.insert(index);
  chunk.free_slots.push_back(address.slot);
  if (--chunk.used > 0) return;
  size_class.open_chunks.erase(index);
  size_class.free_slabs -= chunk.free_slots.size();
  if (size_class.free_slabs == 0) classes_.erase(chunk.slab_bytes);
  chunk.free_slots.clear();
  chunk.slab_bytes = 0;
  free_.insert(index);
}

SlabPlace Arena::Place(SlabAddress slab) const {
  const Chunk& chunk = chunks_[slab.chunk.value()];
  return {chunk.segment, chunk.offset + slab.slot * chunk.slab_bytes, chunk.slab_bytes};
}

}  // namespace pinboard::cache_service
