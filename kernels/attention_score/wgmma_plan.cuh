// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How a block of the wgmma passes divides its work, its shared memory and its keys.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/attention_score/key_passes.cuh"
#include "kernels/attention_score/stage_ring.cuh"
#include "kernels/attention_score/warpgroup_product.cuh"

namespace pinboard::kernels::attention_score {

inline constexpr int kTileKeys = 128;
inline constexpr int kPlaneQueries = 128;
inline constexpr int kSplitTiles = kSplitRows / kTileKeys;
inline constexpr int kConsumers = 512;
inline constexpr int kProducers = 128;
inline constexpr int kThreads = kConsumers + kProducers;
inline constexpr int kMostSharedBytes = 227 * 1024;

enum class Pass : std::uint8_t { kSums, kShares };

/// How a block divides its work. With two planes of queries, both pairs of warpgroups take every
/// tile, each with one plane. With one, each pair takes a split of its own, so tiles come in twos.
template <int kDim, int kPlanes>
struct Plan {
  static constexpr int kValues = kDim;
  static constexpr int kChunks = (kDim + kChunkValues - 1) / kChunkValues;
  static constexpr int kPieces = kDim * 2 / 16;
  static constexpr int kQueries = kPlanes * kPlaneQueries;
  static constexpr int kTilesAtOnce = 3 - kPlanes;
  /// Where all warpgroups go through the same tiles: else one would hold up what the other waits
  /// for.
  static constexpr bool kTakesTurns = kPlanes == 2;
  static constexpr int kStepRows = kTilesAtOnce * kSplitRows;  // that a block takes a multiple of
  static constexpr int kChunkBytes = kTileKeys * kChunkRowBytes;
  static constexpr int kQueryChunkBytes = kQueries * kChunkRowBytes;
  static constexpr int kQueryBytes = kChunks * kQueryChunkBytes;
  static constexpr int kColumnBytes = kQueries * 2 * 4;
  static constexpr int kStages =
      std::min(8, (kMostSharedBytes - kQueryBytes - kColumnBytes - 256) / kChunkBytes);
  using Ring = StageRing<kStages, kChunkBytes>;
  static constexpr int kSharedBytes =
      kQueryBytes + kStages * kChunkBytes + kColumnBytes + Ring::kBarrierBytes;
};

/// Shared memory as its users see it.
template <typename Plan>
struct Areas {
  std::uint32_t queries;  // chunks of all queries
  float4* minus_log_sums;
  int4* limits;
  typename Plan::Ring ring;

  __device__ explicit Areas(std::byte* shared)
      : queries(SharedAddress(shared)),
        minus_log_sums(reinterpret_cast<float4*>(shared + Plan::kQueryBytes +
                                                 Plan::kStages * Plan::kChunkBytes)),
        limits(reinterpret_cast<int4*>(minus_log_sums + Plan::kQueries / 4)),
        ring(queries + Plan::kQueryBytes, SharedAddress(limits + Plan::kQueries / 4)) {}
};

/// The keys of a block: rows [begin, end) of one KV head, in groups of one or two tiles. The pass
/// of shares goes from the last group to the first, for the pass of sums has left the last in L2.
template <typename Plan, Pass pass>
class KeyTiles {
 public:
  __device__ KeyTiles(std::int32_t begin, std::int32_t end) : begin_(begin), end_(end) {
    const int whole = (end - begin) / Plan::kStepRows;
    const int rest = min((end - begin) % Plan::kStepRows, kSplitRows);
    groups_ = whole * kSplitTiles + (rest + kTileKeys - 1) / kTileKeys;
  }
  __device__ int groups() const { return groups_; }
  __device__ std::int32_t end() const { return end_; }
  /// Of tile `tile` of the group that comes after `step` others.
  __device__ std::int32_t FirstRow(int step, int tile) const {
    const int group = pass == Pass::kShares ? groups_ - 1 - step : step;
    return begin_ + group / kSplitTiles * Plan::kStepRows + tile * kSplitRows +
           group % kSplitTiles * kTileKeys;
  }

 private:
  std::int32_t begin_;
  std::int32_t end_;
  int groups_;
};

}  // namespace pinboard::kernels::attention_score
