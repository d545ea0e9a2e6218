// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What brings keys of 8 bits into shared memory as the 16 bits that the wgmma passes multiply. A
// chunk's bytes are loaded into registers when the chunk before it has been stored, and wait there
// until its stage is free. No fence here: the consumers' fence orders what they were handed before
// their products, and one here would wait for the loads too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention_score/key_pieces.cuh"
#include "kernels/attention_score/wgmma_loads.cuh"

namespace pinboard::kernels::attention_score {

/// 16 bytes that are read once; L2 fetches the 256 bytes around them.
__device__ inline uint4 LoadOnce(std::uint64_t from) {
  uint4 bytes;
  asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(bytes.x), "=r"(bytes.y), "=r"(bytes.z), "=r"(bytes.w)
               : "l"(from));
  return bytes;
}

__device__ inline void Store16(std::uint32_t shared, uint4 bytes) {
  asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(shared), "r"(bytes.x), "r"(bytes.y),
               "r"(bytes.z), "r"(bytes.w)
               : "memory");
}

/// Streams keys of kF8E4M3, or of kF8DsMla, whose rotary part is their last chunk and is copied as
/// it is.
template <typename Plan, Pass pass, DType kKeys>
class EightBitStream {
 public:
  __device__ EightBitStream(const Head& head, const KeyTiles<Plan, pass>& tiles,
                            const Areas<Plan>& areas)
      : groups_(tiles.groups()),
        row_0_(reinterpret_cast<std::uint64_t>(head.Key(0))),
        ring_(areas.ring),
        rows_of_warp_(head, tiles) {}

  __device__ void Run() {
    RingPlace<Plan::kStages> place(0);
    Enter(0);
    if constexpr (kHasTiles) LoadScales();
#pragma unroll
    for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) LoadChunk(tile, 0);
    for (int group = 0; group < groups_; ++group) {
      std::uint64_t rows[Plan::kTilesAtOnce];  // of this group, where rows_ goes on to the next
#pragma unroll
      for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) rows[tile] = rows_[tile];
#pragma unroll 1
      for (int chunk = 0; chunk < kWidened; ++chunk) {
        const bool is_last = chunk == kWidened - 1;
        if (is_last) Enter(group + 1);
#pragma unroll
        for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
          ring_.Empty(place.stage()).Wait(place.parity() ^ 1U);
          StoreChunk(tile, chunk, ring_.Stage(place.stage()));
          ring_.Full(place.stage()).Arrive();
          LoadChunk(tile, is_last ? 0 : chunk + 1);
          place.Next();
        }
      }
      if constexpr (kHasTiles) {
        CopyRotary(rows, place);
        LoadScales();
      }
    }
  }

 private:
  static constexpr bool kHasTiles = kKeys == DType::kF8DsMla;
  static constexpr int kWidened = Plan::kChunks - (kHasTiles ? 1 : 0);  // chunks
  static constexpr int kLatent = kWidened * kChunkValues;               // kHasTiles: its values
  static constexpr int kLatentBytes = kLatent + kLatent / kLatentTile * 4;
  static constexpr int kLoads = 4;  // of 16 bytes: four lanes a row, eight rows at a time

  /// The row of load `i`, among those of the warp, and this lane's 16 values of its chunk.
  __device__ int RowOf(int i) const { return 8 * i + rows_of_warp_.lane() / 4; }
  __device__ int Quarter() const { return rows_of_warp_.lane() % 4; }
  /// Of keys of half a chunk, two lanes have no values.
  __device__ bool IsInside() const {
    return Plan::kValues >= kChunkValues || Quarter() * 16 < Plan::kValues;
  }

  /// Beyond the end rows are row 0, whose products no query sees: a load that depends on a
  /// condition would be waited for at once.
  __device__ void Enter(int group) {
    rows_of_warp_.Enter(group, rows_);
#pragma unroll
    for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
      if (rows_[tile] == 0) rows_[tile] = row_0_;
    }
  }

  /// kHasTiles: of the rows entered last.
  __device__ void LoadScales() {
#pragma unroll
    for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
      scales_[tile] = *reinterpret_cast<const float4*>(rows_[tile] + kLatent);
    }
  }

  /// kHasTiles: the last chunk of a group.
  __device__ void CopyRotary(const std::uint64_t (&rows)[Plan::kTilesAtOnce],
                             RingPlace<Plan::kStages>& place) const {
#pragma unroll
    for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
      ring_.Empty(place.stage()).Wait(place.parity() ^ 1U);
      BeginChunk(rows[tile], kLatentBytes, 8, ring_.Stage(place.stage()),
                 rows_of_warp_.first_row());
      ring_.Full(place.stage()).ArriveAfterCopies();
      place.Next();
    }
  }

  /// Begins to load a chunk of the rows entered last.
  __device__ void LoadChunk(int tile, int chunk) {
    const int first = chunk * kChunkValues + (IsInside() ? Quarter() * 16 : 0);
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const std::uint64_t row = __shfl_sync(kAllLanes, rows_[tile], RowOf(i));
      loaded_[tile][i] = LoadOnce(row + first);
    }
  }

  /// Stores what LoadChunk loaded.
  __device__ void StoreChunk(int tile, int chunk, std::uint32_t stage) const {
    const float4& scales = scales_[tile];
    const float of_lane =
        chunk < 4 ? (chunk < 2 ? scales.x : scales.y) : (chunk < 6 ? scales.z : scales.w);
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      float scale = 1.0F;
      if constexpr (kHasTiles) scale = __shfl_sync(kAllLanes, of_lane, RowOf(i));
      const uint4 bytes = IsInside() ? loaded_[tile][i] : make_uint4(0, 0, 0, 0);
      const int row = rows_of_warp_.first_row() + RowOf(i);
      Store16(stage + ChunkOffset(row, 2 * Quarter()),
              WidenPiece<kKeys>({bytes.x, bytes.y}, scale));
      Store16(stage + ChunkOffset(row, 2 * Quarter() + 1),
              WidenPiece<kKeys>({bytes.z, bytes.w}, scale));
    }
  }

  const int groups_;
  const std::uint64_t row_0_;
  const typename Plan::Ring ring_;
  RowsOfWarp<Plan, pass> rows_of_warp_;
  std::uint64_t rows_[Plan::kTilesAtOnce];
  float4 scales_[Plan::kTilesAtOnce] = {};  // kHasTiles: of this lane's rows
  uint4 loaded_[Plan::kTilesAtOnce][kLoads];
};

}  // namespace pinboard::kernels::attention_score
