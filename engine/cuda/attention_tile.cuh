// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A block's part of paged attention: a tile of queries over a range of rows.
//
// The warps of a block stand in kWarpsM rows of 16 queries each and kWarpsN
// columns. For the logits a column takes part of a tile's keys, for the sums of
// values part of their columns: in between the weights lie in shared memory.
// With one token's few heads all warps are columns, and none idles.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "base/cuda/tensor_core.cuh"
#include "engine/cuda/attention_rows.cuh"
#include "engine/cuda/shared_rows.cuh"

namespace pinboard::engine {

/// Sizes in values, padded to what the kernel is made for, or in bytes of
/// shared memory. Rows there lie 16 bytes beyond a multiple of 64 apart, so
/// that 8 of them read at once meet all banks.
template <int key_dim, int value_dim, bool value_in_key, int warps_m, int warps_n, int tile_keys>
struct AttentionCut {
  static constexpr int kKeyDim = key_dim;
  static constexpr int kValueDim = value_dim;
  static constexpr bool kValueInKey = value_in_key;
  static constexpr int kWarpsM = warps_m;
  static constexpr int kWarpsN = warps_n;
  static constexpr int kTileKeys = tile_keys;
  static constexpr int kRows = 16 * kWarpsM;
  static constexpr int kThreads = 32 * kWarpsM * kWarpsN;
  static constexpr int kWarpKeys = kTileKeys / kWarpsN;
  static constexpr int kWarpValues = kValueDim / kWarpsN;
  static_assert(kWarpKeys % 16 == 0 && kWarpValues % 16 == 0 && kKeyDim % 16 == 0);

  static constexpr int kKeyStride = kKeyDim * 2 + 16;
  static constexpr int kValueStride = kValueInKey ? kKeyStride : kValueDim * 2 + 16;
  static constexpr int kWeightStride = kTileKeys * 2 + 16;
  static constexpr int kKeyBytes = kTileKeys * kKeyStride;
  static constexpr int kStageBytes = kKeyBytes + (kValueInKey ? 0 : kTileKeys * kValueStride);
  static constexpr int kQueryBytes = kRows * kKeyStride;
  static constexpr int kWeightBytes = kRows * kWeightStride;
  static constexpr int kExchangeBytes = kWarpsN * kRows * static_cast<int>(sizeof(float));
  static constexpr int kSharedBytes = 2 * kStageBytes + kQueryBytes + kWeightBytes + kExchangeBytes;
};

/// Where a thread stands in its block. Of products it has rows lane / 4 and
/// lane / 4 + 8 of its warp's 16, the halves below.
template <typename Cut>
struct ThreadPlace {
  int lane = static_cast<int>(threadIdx.x % 32);
  int warp_m = static_cast<int>(threadIdx.x / 32) % Cut::kWarpsM;
  int warp_n = static_cast<int>(threadIdx.x / 32) / Cut::kWarpsM;

  /// Of the tile.
  __device__ int Row(int half) const { return warp_m * 16 + half * 8 + lane / 4; }
};

/// The tile's queries to shared memory, rounded and padded with zeros.
template <typename Cut>
__device__ void LoadQueries(const AttentionLaunch& launch, const TileRows& rows,
                            std::byte* queries) {
  for (int i = static_cast<int>(threadIdx.x); i < Cut::kRows * Cut::kKeyDim / 2;
       i += Cut::kThreads) {
    const int row = i / (Cut::kKeyDim / 2), value = i % (Cut::kKeyDim / 2) * 2;
    std::uint32_t pair = 0;
    if (row < rows.count() && value < launch.key_dim) {
      const float2 values = __ldg(reinterpret_cast<const float2*>(
          launch.arrays.queries + rows.Head(row) * launch.key_dim + value));
      pair = PackBFloat16(values.x, values.y);
    }
    *reinterpret_cast<std::uint32_t*>(queries + row * Cut::kKeyStride + value * 2) = pair;
  }
}

/// sums += this warp's 16 rows of `a` times the transpose of its rows of `b`,
/// both in shared memory from the first such row on: kSteps times 16 values of
/// the inner dimension.
template <int kSteps, int kStrideA, int kStrideB, int kParts>
__device__ void MultiplyByRows(const std::byte* a, const std::byte* b, float (&sums)[kParts][4]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const std::byte* const a_at = a + lane % 16 * kStrideA + lane / 16 * 16;
  const std::byte* const b_at = b + (lane / 16 * 8 + lane % 8) * kStrideB + lane / 8 % 2 * 16;
#pragma unroll 4
  for (int step = 0; step < kSteps; ++step) {
    std::uint32_t left[4];
    cuda::LoadMatrices(left, a_at + step * 32);
#pragma unroll
    for (int pair = 0; pair < kParts / 2; ++pair) {
      std::uint32_t right[4];
      cuda::LoadMatrices(right, b_at + pair * 16 * kStrideB + step * 32);
      cuda::MultiplyAdd(sums[2 * pair], left[0], left[1], left[2], left[3], right[0], right[1]);
      cuda::MultiplyAdd(sums[2 * pair + 1], left[0], left[1], left[2], left[3], right[2], right[3]);
    }
  }
}

/// The same times `b` itself, whose rows run along the inner dimension.
template <int kSteps, int kStrideA, int kStrideB, int kParts>
__device__ void MultiplyByColumns(const std::byte* a, const std::byte* b,
                                  float (&sums)[kParts][4]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const std::byte* const a_at = a + lane % 16 * kStrideA + lane / 16 * 16;
  const std::byte* const b_at = b + lane % 16 * kStrideB + lane / 16 * 16;
#pragma unroll
  for (int step = 0; step < kSteps; ++step) {
    std::uint32_t left[4];
    cuda::LoadMatrices(left, a_at + step * 32);
#pragma unroll
    for (int pair = 0; pair < kParts / 2; ++pair) {
      std::uint32_t right[4];
      cuda::LoadTransposed(right, b_at + step * 16 * kStrideB + pair * 32);
      cuda::MultiplyAdd(sums[2 * pair], left[0], left[1], left[2], left[3], right[0], right[1]);
      cuda::MultiplyAdd(sums[2 * pair + 1], left[0], left[1], left[2], left[3], right[2], right[3]);
    }
  }
}

/// Combines a value of each of this lane's rows with those of all threads that
/// share the row. With several columns of warps through `exchange`, which no
/// thread may be reading: there is a barrier between its writes and its reads,
/// and none before or after.
template <typename Cut, typename Combine>
__device__ void CombineRows(const ThreadPlace<Cut>& place, float* exchange, float (&values)[2],
                            Combine combine) {
#pragma unroll
  for (float& value : values) {
    value = combine(value, __shfl_xor_sync(0xffffffffU, value, 1));
    value = combine(value, __shfl_xor_sync(0xffffffffU, value, 2));
  }
  if constexpr (Cut::kWarpsN > 1) {
    float* const of_rows = exchange + place.Row(0);
    if (place.lane % 4 == 0) {
      of_rows[place.warp_n * Cut::kRows] = values[0];
      of_rows[place.warp_n * Cut::kRows + 8] = values[1];
    }
    __syncthreads();
    values[0] = of_rows[0];
    values[1] = of_rows[8];
#pragma unroll
    for (int other = 1; other < Cut::kWarpsN; ++other) {
      values[0] = combine(values[0], of_rows[other * Cut::kRows]);
      values[1] = combine(values[1], of_rows[other * Cut::kRows + 8]);
    }
  }
}

/// The softmax of the rows seen so far, of this lane's two rows.
template <typename Cut>
struct RunningSoftmax {
  float highest[2] = {kMinusInfinity, kMinusInfinity};  // logit, in base 2
  float sum[2] = {0.0F, 0.0F};                  // of 2^(logit - highest), of this lane's keys
  float context[Cut::kWarpValues / 8][4] = {};  // sums of values, weighted likewise

  /// Takes a tile's highest logits in; afterwards weights are 2^(logit - base),
  /// and what has been summed is of that scale.
  __device__ void Rescale(const float (&tile_highest)[2], float (&base)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float both = fmaxf(highest[half], tile_highest[half]);
      base[half] = both == kMinusInfinity ? 0.0F : both;
      const float factor = cuda::Exp2(highest[half] - base[half]);
      highest[half] = both;
      sum[half] *= factor;
#pragma unroll
      for (auto& part : context) {
        part[2 * half] *= factor;
        part[2 * half + 1] *= factor;
      }
    }
  }

  /// Weights of this lane's keys, rounded, to shared memory `weights` [rows of
  /// the tile, keys].
  __device__ void Weigh(const ThreadPlace<Cut>& place, const float (&logits)[Cut::kWarpKeys / 8][4],
                        const float (&base)[2], std::byte* weights) {
    std::byte* const at = weights + place.Row(0) * Cut::kWeightStride +
                          (place.warp_n * Cut::kWarpKeys + place.lane % 4 * 2) * 2;
#pragma unroll
    for (int part = 0; part < Cut::kWarpKeys / 8; ++part) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float left = cuda::Exp2(logits[part][2 * half] - base[half]);
        const float right = cuda::Exp2(logits[part][2 * half + 1] - base[half]);
        sum[half] += left + right;
        *reinterpret_cast<std::uint32_t*>(at + half * 8 * Cut::kWeightStride + part * 16) =
            PackBFloat16(left, right);
      }
    }
  }
};

/// Scales the logits of keys first_key ..., hides those from `limit` on, and
/// returns in `highest` this lane's highest.
template <int kParts>
__device__ void ScaleAndHide(int first_key, const int (&limit)[2], float scale,
                             float (&logits)[kParts][4], float (&highest)[2]) {
  highest[0] = highest[1] = kMinusInfinity;
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const bool visible = first_key + part * 8 + i % 2 < limit[i / 2];
      logits[part][i] = visible ? logits[part][i] * scale : kMinusInfinity;
      highest[i / 2] = fmaxf(highest[i / 2], logits[part][i]);
    }
  }
}

/// The rows of `softmax`, whose sums are of the whole row: to the step's
/// context, or where the rows of the cache are split to this split's parts.
template <typename Cut>
__device__ void StoreRows(const AttentionLaunch& launch, const TileRows& rows,
                          const ThreadPlace<Cut>& place, const RunningSoftmax<Cut>& softmax) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = place.Row(half);
    if (row >= rows.count()) continue;
    const float sum = softmax.sum[half];
    const float scale = sum > 0.0F ? 1.0F / sum : 0.0F;
    const float log_sum = sum > 0.0F ? softmax.highest[half] + log2f(sum) : kMinusInfinity;
    const std::int64_t head = rows.Head(row);
    const std::int64_t part_row = PartRow(launch, static_cast<int>(blockIdx.z), Cut::kRows, row);
    if (place.warp_n == 0 && place.lane % 4 == 0) {
      if (launch.split.splits > 1) {
        launch.part_sums[part_row] = log_sum;
      } else if (launch.arrays.log_sum_exp != nullptr) {
        launch.arrays.log_sum_exp[head] = log_sum * kLn2;
      }
    }
#pragma unroll
    for (int part = 0; part < Cut::kWarpValues / 8; ++part) {
      const int value = place.warp_n * Cut::kWarpValues + part * 8 + place.lane % 4 * 2;
      if (value >= launch.value_dim) continue;
      const float left = softmax.context[part][2 * half] * scale;
      const float right = softmax.context[part][2 * half + 1] * scale;
      if (launch.split.splits > 1) {
        *reinterpret_cast<float2*>(launch.parts + part_row * launch.value_dim + value) =
            make_float2(left, right);
      } else {
        *reinterpret_cast<std::uint32_t*>(launch.arrays.context + head * launch.value_dim + value) =
            PackBFloat16(left, right);
      }
    }
  }
}

/// grid: tiles, KV heads, splits.
template <typename Cut>
__global__ __launch_bounds__(Cut::kThreads) void AttendKernel(const AttentionLaunch launch) {
  extern __shared__ __align__(16) std::byte shared[];
  std::byte* const stages = shared;
  std::byte* const queries = stages + 2 * Cut::kStageBytes;
  std::byte* const weights = queries + Cut::kQueryBytes;
  auto* const exchange = reinterpret_cast<float*>(weights + Cut::kWeightBytes);

  const AttentionTile tile = launch.tiles[blockIdx.x];
  const LayerEntry entry = launch.arrays.batch.entries[tile.entry];
  const int kv_head = static_cast<int>(blockIdx.y);
  const TileRows rows(launch, tile, entry, kv_head, Cut::kRows);
  const int seen = entry.resident_rows + rows.Token(rows.count() - 1) + 1;
  const int begin = static_cast<int>(blockIdx.z) * launch.split.split_rows;
  const int end = min(begin + launch.split.split_rows, seen);
  const ThreadPlace<Cut> place;
  LoadQueries<Cut>(launch, rows, queries);

  const CachedRows keys(launch.arrays.cache.key, entry.blocks, kv_head, launch.block_shift,
                        launch.key_dim);
  const CachedRows values(launch.arrays.cache.value, entry.blocks, kv_head, launch.block_shift,
                          launch.value_dim);
  const auto begin_stage = [&](int stage) {
    std::byte* const at = stages + stage % 2 * Cut::kStageBytes;
    const int first = begin + stage * Cut::kTileKeys;
    keys.Begin<Cut::kKeyDim, Cut::kTileKeys, Cut::kKeyStride, Cut::kThreads>(at, first, end);
    if constexpr (!Cut::kValueInKey) {
      values.Begin<Cut::kValueDim, Cut::kTileKeys, Cut::kValueStride, Cut::kThreads>(
          at + Cut::kKeyBytes, first, end);
    }
  };

  int limit[2];  // the first row of the cache that a row of queries does not see
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = place.Row(half);
    limit[half] = row < rows.count() ? min(end, entry.resident_rows + rows.Token(row) + 1) : 0;
  }
  RunningSoftmax<Cut> softmax;

  const int stage_count = begin < end ? (end - begin + Cut::kTileKeys - 1) / Cut::kTileKeys : 0;
  if (stage_count > 0) begin_stage(0);
  for (int stage = 0; stage < stage_count; ++stage) {
    cuda::WaitForCopies();
    __syncthreads();
    if (stage + 1 < stage_count) begin_stage(stage + 1);
    const std::byte* const tile_keys = stages + stage % 2 * Cut::kStageBytes;
    const std::byte* const tile_values = tile_keys + (Cut::kValueInKey ? 0 : Cut::kKeyBytes);

    float logits[Cut::kWarpKeys / 8][4] = {};
    MultiplyByRows<Cut::kKeyDim / 16, Cut::kKeyStride, Cut::kKeyStride>(
        queries + place.warp_m * 16 * Cut::kKeyStride,
        tile_keys + place.warp_n * Cut::kWarpKeys * Cut::kKeyStride, logits);
    const int first_key =
        begin + stage * Cut::kTileKeys + place.warp_n * Cut::kWarpKeys + place.lane % 4 * 2;
    float highest[2], base[2];
    ScaleAndHide(first_key, limit, launch.scale, logits, highest);
    CombineRows(place, exchange, highest, [](float a, float b) { return fmaxf(a, b); });
    softmax.Rescale(highest, base);
    softmax.Weigh(place, logits, base, weights);
    if constexpr (Cut::kWarpsN > 1) {
      __syncthreads();
    } else {
      __syncwarp();
    }
    MultiplyByColumns<Cut::kTileKeys / 16, Cut::kWeightStride, Cut::kValueStride>(
        weights + place.warp_m * 16 * Cut::kWeightStride,
        tile_values + place.warp_n * Cut::kWarpValues * 2, softmax.context);
  }

  if constexpr (Cut::kWarpsN > 1) __syncthreads();  // the last maxima have been read
  CombineRows(place, exchange, softmax.sum, [](float a, float b) { return a + b; });
  StoreRows(launch, rows, place, softmax);
}

}  // namespace pinboard::engine
