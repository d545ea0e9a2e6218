// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the wgmma passes bring into shared memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention_score/wgmma_plan.cuh"

namespace pinboard::kernels::attention_score {

/// A producer's 32 rows of each tile of keys, each looked up by one lane.
template <typename Plan, Pass pass>
class RowsOfWarp {
 public:
  __device__ RowsOfWarp(const Head& head, const KeyTiles<Plan, pass>& tiles)
      : head_(head),
        tiles_(tiles),
        lane_(static_cast<int>(threadIdx.x % 32)),
        first_row_(static_cast<int>(threadIdx.x - kConsumers) / 32 * 32) {
    LookUp(0);
  }

  __device__ int lane() const { return lane_; }
  /// Of the warp's first row in a tile.
  __device__ int first_row() const { return first_row_; }

  /// The address of this lane's row of each tile of a group, 0 beyond the end. Groups ascend from
  /// 0: each call looks up the blocks of the next.
  __device__ void Enter(int group, std::uint64_t (&rows)[Plan::kTilesAtOnce]) {
#pragma unroll
    for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
      rows[tile] = reinterpret_cast<std::uint64_t>(head_.KeyIn(blocks_[tile], Row(group, tile)));
    }
    LookUp(group + 1);
  }

 private:
  __device__ std::int32_t Row(int group, int tile) const {
    return tiles_.FirstRow(group, tile) + first_row_ + lane_;
  }
  __device__ void LookUp(int group) {
#pragma unroll
    for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
      blocks_[tile] = group < tiles_.groups() ? head_.BlockOf(Row(group, tile)) : -1;
    }
  }

  const Head& head_;
  const KeyTiles<Plan, pass> tiles_;
  const int lane_;
  const int first_row_;
  std::int32_t blocks_[Plan::kTilesAtOnce];
};

/// Begins to copy 128 bytes of each of a warp's rows, `offset` bytes from their beginnings, eight
/// lanes a row, to the rows of a stage from `first_row` on; zeros from piece `pieces` of them on.
__device__ inline void BeginChunk(std::uint64_t row_of_lane, int offset, int pieces,
                                  std::uint32_t stage, int first_row) {
  const auto lane = static_cast<int>(threadIdx.x % 32);
  const int piece = lane % 8;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t row = __shfl_sync(kAllLanes, row_of_lane, 4 * i + lane / 8);
    const auto* const from = reinterpret_cast<const std::byte*>(row + offset + piece * 16);
    BeginCopy16(stage + ChunkOffset(first_row + 4 * i + lane / 8, piece), from,
                piece < pieces && row != 0);
  }
}

/// Streams keys of 16 bits.
template <typename Plan, Pass pass>
__device__ void StreamKeys(const Head& head, const KeyTiles<Plan, pass>& tiles,
                           const Areas<Plan>& areas) {
  RowsOfWarp<Plan, pass> rows_of_warp(head, tiles);
  RingPlace<Plan::kStages> place(0);
  for (int group = 0; group < tiles.groups(); ++group) {
    std::uint64_t rows[Plan::kTilesAtOnce];
    rows_of_warp.Enter(group, rows);
#pragma unroll 1
    for (int chunk = 0; chunk < Plan::kChunks; ++chunk) {
#pragma unroll
      for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
        areas.ring.Empty(place.stage()).Wait(place.parity() ^ 1U);
        BeginChunk(rows[tile], chunk * kChunkRowBytes, Plan::kPieces - chunk * 8,
                   areas.ring.Stage(place.stage()), rows_of_warp.first_row());
        areas.ring.Full(place.stage()).ArriveAfterCopies();
        place.Next();
      }
    }
  }
}

/// Copies a block's queries to shared memory, with all consumers.
template <typename Plan>
__device__ void LoadQueries(const Head& head, int first, std::uint32_t shared) {
  for (int i = static_cast<int>(threadIdx.x); i < Plan::kQueries * Plan::kChunks * 8;
       i += kConsumers) {
    const int query = i / (Plan::kChunks * 8);
    const int piece = i % (Plan::kChunks * 8);
    const auto* const from = static_cast<const std::byte*>(head.Query(first + query));
    BeginCopy16(shared + piece / 8 * Plan::kQueryChunkBytes + ChunkOffset(query, piece % 8),
                from + piece * 16, from != nullptr && piece < Plan::kPieces);
  }
  asm volatile("cp.async.wait_all;" ::: "memory");
  FenceForTensorCores();
}

__device__ inline void AwaitConsumers() {
  asm volatile("bar.sync 1, %0;" ::"n"(kConsumers) : "memory");
}

}  // namespace pinboard::kernels::attention_score
