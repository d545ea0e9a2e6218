// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the wgmma passes bring into shared memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention_score/wgmma_plan.cuh"

namespace pinboard::kernels::attention_score {

/// Streams the keys, 32 rows of each tile a warp, each looked up by one lane.
template <typename Plan, Pass pass>
class Producer {
 public:
  __device__ Producer(const Head& head, const KeyTiles<Plan, pass>& tiles, const Areas<Plan>& areas)
      : head_(head),
        tiles_(tiles),
        ring_(areas.ring),
        lane_(static_cast<int>(threadIdx.x % 32)),
        first_row_(static_cast<int>(threadIdx.x - kConsumers) / 32 * 32) {}

  __device__ void Run() {
    const int groups = tiles_.groups();
    RingPlace<Plan::kStages> place(0);
    LookUp(0);
    for (int group = 0; group < groups; ++group) {
      std::uint64_t rows[Plan::kTilesAtOnce];
#pragma unroll
      for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
        rows[tile] = reinterpret_cast<std::uint64_t>(head_.KeyIn(blocks_[tile], Row(group, tile)));
      }
      if (group + 1 < groups) LookUp(group + 1);
#pragma unroll 1
      for (int chunk = 0; chunk < Plan::kChunks; ++chunk) {
#pragma unroll
        for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
          ring_.Empty(place.stage()).Wait(place.parity() ^ 1U);
          CopyChunk(rows[tile], chunk, ring_.Stage(place.stage()));
          ring_.Full(place.stage()).ArriveAfterCopies();
          place.Next();
        }
      }
    }
  }

 private:
  __device__ std::int32_t Row(int group, int tile) const {
    return tiles_.FirstRow(group, tile) + first_row_ + lane_;
  }
  __device__ void LookUp(int group) {
#pragma unroll
    for (int tile = 0; tile < Plan::kTilesAtOnce; ++tile) {
      blocks_[tile] = head_.BlockOf(Row(group, tile));
    }
  }
  /// Eight lanes copy a row's 128 bytes.
  __device__ void CopyChunk(std::uint64_t row_of_lane, int chunk, std::uint32_t stage) const {
    const int piece = lane_ % 8;
    const bool inside = chunk * 8 + piece < Plan::kPieces;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t row = __shfl_sync(kAllLanes, row_of_lane, 4 * i + lane_ / 8);
      const auto* const from =
          reinterpret_cast<const std::byte*>(row + chunk * kChunkRowBytes + piece * 16);
      BeginCopy16(stage + ChunkOffset(first_row_ + 4 * i + lane_ / 8, piece), from,
                  inside && row != 0);
    }
  }

  const Head& head_;
  const KeyTiles<Plan, pass> tiles_;
  const typename Plan::Ring ring_;
  const int lane_;
  const int first_row_;
  std::int32_t blocks_[Plan::kTilesAtOnce];
};

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
