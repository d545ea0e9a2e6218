// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which part of the service's memory is whose: slabs of a few sizes, cut from chunks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "base/strong_id.h"

namespace pinboard::cache_service {

/// A place for one page; reused by later pages.
using SlabIndex = StrongId<struct SlabIndexTag, std::uint32_t>;
using ChunkIndex = StrongId<struct ChunkIndexTag, std::uint32_t>;

/// A slab's place among those of its chunk.
struct SlabAddress {
  ChunkIndex chunk;
  std::uint32_t slot = 0;
  friend auto operator<=>(const SlabAddress&, const SlabAddress&) = default;
};

struct SlabPlace {
  std::uint32_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// What a SlabIndex can tell apart.
inline constexpr std::uint64_t kMaxArenaBytes = std::uint64_t{1} << 40;

/// Slabs start at multiples of this, and their sizes are rounded up to it.
inline constexpr std::uint32_t kSlabAlignment = 256;

/// Bookkeeping only: it never touches the memory. A chunk serves one slab size while any of its
/// slabs is in use and any size afterwards, so that page sizes may come and go.
///
/// Fragmentation: per size, at most the free slabs of its partly used chunks, which are filled from
/// the lowest chunk up; within a chunk, less than one slab at its end; within a slab, less than
/// kSlabAlignment. A segment's end that does not fill a chunk is not used.
///
/// Segments come and go: one that is retired gives no more slabs, and once none of it is in use it
/// can be removed. Thread-compatible.
class Arena {
 public:
  /// Segments 0, 1, ... of these sizes. Requires chunk_bytes to be a multiple of kSlabAlignment.
  Arena(const std::vector<std::uint64_t>& segment_bytes, std::uint64_t chunk_bytes);

  /// Requires `segment` to be new, and kMaxArenaBytes or less in all.
  void AddSegment(std::uint32_t segment, std::uint64_t bytes);
  void RetireSegment(std::uint32_t segment);
  /// Requires it to be retired and without used chunks.
  void RemoveSegment(std::uint32_t segment);

  struct SegmentUse {
    std::vector<ChunkIndex> chunks;
    std::uint32_t used_chunks = 0;
    bool retired = false;
  };
  /// By segment.
  const absl::btree_map<std::uint32_t, SegmentUse>& segments() const { return segments_; }

  /// Nothing where neither a slab of this size nor a chunk is free. Requires 0 < bytes <=
  /// chunk_bytes().
  std::optional<SlabIndex> Allocate(std::uint64_t bytes);
  void Free(SlabIndex slab);

  /// How many Allocate(bytes) would succeed in a row.
  std::uint64_t FreeSlabs(std::uint64_t bytes) const;
  std::uint64_t SlabsPerChunk(std::uint64_t bytes) const;
  static std::uint64_t SlabBytes(std::uint64_t bytes) {
    return (bytes + kSlabAlignment - 1) / kSlabAlignment * kSlabAlignment;
  }

  /// Requires the slab to be allocated.
  SlabPlace Place(SlabIndex slab) const { return Place(AddressOf(slab)); }
  SlabPlace Place(SlabAddress slab) const {
    const Chunk& chunk = chunks_[slab.chunk.value()];
    return {chunk.segment, chunk.offset + slab.slot * chunk.slab_bytes, chunk.slab_bytes};
  }
  /// Several times for each page that comes or goes, so without a division.
  SlabAddress AddressOf(SlabIndex slab) const {
    const auto chunk = static_cast<std::uint32_t>(
        static_cast<unsigned __int128>(slabs_inverse_) * slab.value() >> 64);
    return {ChunkIndex(chunk), slab.value() - chunk * max_slabs_};
  }
  SlabIndex IndexOf(SlabAddress slab) const {
    return SlabIndex(slab.chunk.value() * max_slabs_ + slab.slot);
  }
  std::uint32_t UsedSlabs(ChunkIndex chunk) const { return chunks_[chunk.value()].used; }
  bool IsRetired(ChunkIndex chunk) const { return chunks_[chunk.value()].retired; }
  /// 0 for a chunk that is free.
  std::uint64_t SlabBytesOf(ChunkIndex chunk) const { return chunks_[chunk.value()].slab_bytes; }

  std::uint64_t chunk_bytes() const { return chunk_bytes_; }
  /// Every ChunkIndex is below this. It does not fall, and the indices of removed segments are used
  /// again.
  std::uint32_t chunks() const { return static_cast<std::uint32_t>(chunks_.size()); }
  std::uint64_t capacity_bytes() const { return (chunks_.size() - absent_.size()) * chunk_bytes_; }
  /// In allocated slabs, and in chunks that have any.
  std::uint64_t used_bytes() const { return used_bytes_; }
  std::uint64_t assigned_bytes() const { return used_chunks_ * chunk_bytes_; }

 private:
  struct Chunk {
    std::uint32_t segment = 0;
    std::uint64_t offset = 0;
    std::uint64_t slab_bytes = 0;  // 0: free
    std::uint32_t used = 0;
    bool retired = false;                   // in no class, and not in free_
    std::vector<std::uint32_t> free_slots;  // the next is last
  };
  struct SizeClass {
    absl::btree_set<std::uint32_t> open_chunks;  // with a free slab, lowest first
    std::uint64_t free_slabs = 0;
  };

  bool OpenChunk(std::uint64_t slab_bytes, SizeClass& size_class);
  void CountUsedChunk(const Chunk& chunk, int change);
  void CloseChunk(std::uint32_t index);

  std::uint64_t chunk_bytes_;
  std::uint32_t max_slabs_;      // in a chunk of the smallest slabs, but at least 2
  std::uint64_t slabs_inverse_;  // 2^64 / max_slabs_, rounded up: exact for all 32-bit numerators
  std::vector<Chunk> chunks_;
  absl::btree_map<std::uint32_t, SegmentUse> segments_;
  absl::btree_set<std::uint32_t> free_;
  absl::btree_set<std::uint32_t> absent_;       // of no segment
  std::map<std::uint64_t, SizeClass> classes_;  // by slab bytes; a few
  std::uint64_t used_bytes_ = 0;
  std::uint64_t used_chunks_ = 0;
};

}  // namespace pinboard::cache_service
