// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/arena.h"

#include <algorithm>

namespace pinboard::cache_service {

Arena::Arena(const std::vector<std::uint64_t>& segment_bytes, std::uint64_t chunk_bytes)
    : chunk_bytes_(chunk_bytes),
      max_slabs_(
          std::max(std::uint32_t{2}, static_cast<std::uint32_t>(chunk_bytes / kSlabAlignment))),
      slabs_inverse_(~std::uint64_t{0} / max_slabs_ + 1) {
  for (const std::uint64_t bytes : segment_bytes) {
    AddSegment(static_cast<std::uint32_t>(segments_.size()), bytes);
  }
}

void Arena::AddSegment(std::uint32_t segment, std::uint64_t bytes) {
  SegmentUse& use = segments_[segment];
  for (std::uint64_t offset = 0; offset + chunk_bytes_ <= bytes; offset += chunk_bytes_) {
    std::uint32_t index = chunks();
    if (absent_.empty()) {
      chunks_.emplace_back();
    } else {
      index = *absent_.begin();
      absent_.erase(absent_.begin());
    }
    chunks_[index] = {.segment = segment, .offset = offset};
    free_.insert(index);
    use.chunks.push_back(ChunkIndex(index));
  }
}

void Arena::RetireSegment(std::uint32_t segment) {
  SegmentUse& use = segments_.at(segment);
  use.retired = true;
  for (const ChunkIndex index : use.chunks) {
    Chunk& chunk = chunks_[index.value()];
    chunk.retired = true;
    free_.erase(index.value());
    const auto size_class = classes_.find(chunk.slab_bytes);
    if (size_class == classes_.end()) continue;
    size_class->second.open_chunks.erase(index.value());
    size_class->second.free_slabs -= chunk.free_slots.size();
    if (size_class->second.free_slabs == 0) classes_.erase(size_class);
  }
}

void Arena::RemoveSegment(std::uint32_t segment) {
  const auto removed = segments_.find(segment);
  for (const ChunkIndex index : removed->second.chunks) {
    chunks_[index.value()] = {};
    absent_.insert(index.value());
  }
  segments_.erase(removed);
}

void Arena::CountUsedChunk(const Chunk& chunk, int change) {
  used_chunks_ += change;
  segments_.at(chunk.segment).used_chunks += change;
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
  CountUsedChunk(chunk, 1);
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
  used_bytes_ -= chunk.slab_bytes;
  if (!chunk.retired) {
    SizeClass& size_class = classes_[chunk.slab_bytes];
    ++size_class.free_slabs;
    if (chunk.free_slots.empty()) size_class.open_chunks.insert(index);
  }
  chunk.free_slots.push_back(address.slot);
  if (--chunk.used == 0) CloseChunk(index);
}

void Arena::CloseChunk(std::uint32_t index) {
  Chunk& chunk = chunks_[index];
  CountUsedChunk(chunk, -1);
  if (!chunk.retired) {
    SizeClass& size_class = classes_[chunk.slab_bytes];
    size_class.open_chunks.erase(index);
    size_class.free_slabs -= chunk.free_slots.size();
    if (size_class.free_slabs == 0) classes_.erase(chunk.slab_bytes);
    free_.insert(index);
  }
  chunk.free_slots.clear();
  chunk.slab_bytes = 0;
}

}  // namespace pinboard::cache_service
