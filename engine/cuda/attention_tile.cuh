// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A block's part of paged attention: a tile of queries over a range of rows.
//
// The warps of a block stand in kWarpsM rows of 16 queries each and kWarpsN columns. For the logits
// a column takes part of a tile's keys, for the sums of values part of their columns: in between
// the weights lie in shared memory. With one token's few heads all warps are columns, and none
// idles.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "base/cuda/tensor_core.cuh"
#include "engine/cuda/attention_tuning.h"
#include "engine/cuda/paged_attention.cuh"
#include "engine/cuda/shared_rows.cuh"

namespace pinboard::engine {

/// Sizes in values, padded to what the kernel is made for, or in bytes of shared memory. Rows there
/// lie 16 bytes beyond a multiple of 64 apart, so that 8 of them read at once meet all banks.
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

/// What the blocks of one launch have in common.
struct AttentionLaunch {
  PagedAttentionArrays arrays;
  const AttentionTile* tiles;
  AttentionSplit split;
  int key_dim;
  int value_dim;
  int kv_heads;
  int query_heads;
  int block_shift;  // log2 of the block size
  float scale;      // of the logits in base 2
  // Where splits > 1, [splits, tiles, kv_heads, rows of a tile] ...
  float* parts;      // ... [value_dim]: each split's context
  float* part_sums;  // ... its log-sum-exp in base 2
};

inline constexpr float kMinusInfinity = -__builtin_inff();
inline constexpr float kLn2 = 0.693147180559945F;

/// The rows of one KV head of one entry.
class CachedRows {
 public:
  __device__ CachedRows(const KvPlane& plane, const std::int32_t* blocks, int head, int block_shift,
                        int dim)
      : base_(plane.base + head * plane.head_stride),
        blocks_(blocks),
        block_stride_(plane.block_stride),
        token_stride_(plane.token_stride),
        block_shift_(block_shift),
        dim_(dim),
        aligned_(reinterpret_cast<std::uintptr_t>(base_) % 16 == 0 && token_stride_ % 16 == 0 &&
                 block_stride_ % 16 == 0 && dim % 8 == 0) {}

  /// Begins to copy kRows rows, padded to kDim values, from `first` on; zeros from row `end` on.
  template <int kDim, int kRows, int kStride, int kThreads>
  __device__ void Begin(std::byte* shared, int first, int end) const {
    constexpr int kPieces = kDim / 8;
#pragma unroll 4
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kPieces; i += kThreads) {
      const int row = first + i / kPieces;
      BeginEightValues(shared + i / kPieces * kStride + i % kPieces * 16,
                       row < end ? Row(row) : nullptr, i % kPieces * 8, dim_, aligned_);
    }
  }

 private:
  __device__ const std::byte* Row(int row) const {
    return base_ + __ldg(blocks_ + (row >> block_shift_)) * block_stride_ +
           (row & ((1 << block_shift_) - 1)) * token_stride_;
  }

  const std::byte* base_;
  const std::int32_t* blocks_;
  std::int64_t block_stride_;
  std::int64_t token_stride_;
  int block_shift_;
  int dim_;
  bool aligned_;
};

/// The query rows of one tile that read one KV head.
class TileRows {
 public:
  __device__ TileRows(const AttentionLaunch& launch, const AttentionTile& tile,
                      const LayerEntry& entry, int kv_head, int tile_rows)
      : first_row_(tile.first_row),
        first_token_(entry.first_token),
        first_head_(kv_head * (launch.query_heads / launch.kv_heads)),
        group_(launch.query_heads / launch.kv_heads),
        query_heads_(launch.query_heads),
        count_(min(tile_rows, entry.tokens * group_ - first_row_)) {}

  __device__ int count() const { return count_; }
  /// The entry's token that a row belongs to.
  __device__ int Token(int row) const { return (first_row_ + row) / group_; }
  /// Its place in [tokens of the step, query_heads].
  __device__ std::int64_t Head(int row) const {
    return std::int64_t{first_token_ + Token(row)} * query_heads_ + first_head_ +
           (first_row_ + row) % group_;
  }

 private:
  int first_row_;
  int first_token_;
  int first_head_;
  int group_;
  int query_heads_;
  int count_;
};

/// Of a row in AttentionLaunch::parts.
__device__ inline std::int64_t PartRow(const AttentionLaunch& launch, int split, int tile_rows,
                                       int row) {
  return ((std::int64_t{split} * gridDim.x + blockIdx.x) * launch.kv_heads + blockIdx.y) *
             tile_rows +
         row;
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
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp_m = static_cast<int>(threadIdx.x / 32) % Cut::kWarpsM;
  const int warp_n = static_cast<int>(threadIdx.x / 32) / Cut::kWarpsM;

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

  // This lane's rows are lane / 4 and lane / 4 + 8 of its warp's 16.
  int limit[2];  // the first row of the cache that it does not see
  float highest[2] = {kMinusInfinity, kMinusInfinity};
  float sum[2] = {0.0F, 0.0F};  // of this lane's columns
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = warp_m * 16 + half * 8 + lane / 4;
    limit[half] = row < rows.count() ? min(end, entry.resident_rows + rows.Token(row) + 1) : 0;
  }
  float context[Cut::kWarpValues / 8][4] = {};

  const int stage_count = begin < end ? (end - begin + Cut::kTileKeys - 1) / Cut::kTileKeys : 0;
  if (stage_count > 0) begin_stage(0);
  for (int stage = 0; stage < stage_count; ++stage) {
    cuda::WaitForCopies();
    __syncthreads();
    if (stage + 1 < stage_count) begin_stage(stage + 1);
    const std::byte* const tile_keys = stages + stage % 2 * Cut::kStageBytes;
    const std::byte* const tile_values = tile_keys + (Cut::kValueInKey ? 0 : Cut::kKeyBytes);

    float logits[Cut::kWarpKeys / 8][4] = {};
    const std::byte* const query_at =
        queries + (warp_m * 16 + lane % 16) * Cut::kKeyStride + lane / 16 * 16;
    const std::byte* const key_at =
        tile_keys + (warp_n * Cut::kWarpKeys + lane / 16 * 8 + lane % 8) * Cut::kKeyStride +
        lane / 8 % 2 * 16;
#pragma unroll 4
    for (int step = 0; step < Cut::kKeyDim / 16; ++step) {
      std::uint32_t a[4];
      cuda::LoadMatrices(a, query_at + step * 32);
#pragma unroll
      for (int pair = 0; pair < Cut::kWarpKeys / 16; ++pair) {
        std::uint32_t b[4];
        cuda::LoadMatrices(b, key_at + pair * 16 * Cut::kKeyStride + step * 32);
        cuda::MultiplyAdd(logits[2 * pair], a[0], a[1], a[2], a[3], b[0], b[1]);
        cuda::MultiplyAdd(logits[2 * pair + 1], a[0], a[1], a[2], a[3], b[2], b[3]);
      }
    }

    const int first_key = begin + stage * Cut::kTileKeys + warp_n * Cut::kWarpKeys + lane % 4 * 2;
    float tile_highest[2] = {kMinusInfinity, kMinusInfinity};
#pragma unroll
    for (int part = 0; part < Cut::kWarpKeys / 8; ++part) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool visible = first_key + part * 8 + i % 2 < limit[i / 2];
        logits[part][i] = visible ? logits[part][i] * launch.scale : kMinusInfinity;
        tile_highest[i / 2] = fmaxf(tile_highest[i / 2], logits[part][i]);
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      tile_highest[half] =
          fmaxf(tile_highest[half], __shfl_xor_sync(0xffffffffU, tile_highest[half], 1));
      tile_highest[half] =
          fmaxf(tile_highest[half], __shfl_xor_sync(0xffffffffU, tile_highest[half], 2));
    }
    if constexpr (Cut::kWarpsN > 1) {
      float* const of_rows = exchange + warp_m * 16 + lane / 4;
      if (lane % 4 == 0) {
        of_rows[warp_n * Cut::kRows] = tile_highest[0];
        of_rows[warp_n * Cut::kRows + 8] = tile_highest[1];
      }
      __syncthreads();
#pragma unroll
      for (int other = 0; other < Cut::kWarpsN; ++other) {
        tile_highest[0] = fmaxf(tile_highest[0], of_rows[other * Cut::kRows]);
        tile_highest[1] = fmaxf(tile_highest[1], of_rows[other * Cut::kRows + 8]);
      }
    }

    float base[2];
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
    std::byte* const weight_at = weights + (warp_m * 16 + lane / 4) * Cut::kWeightStride +
                                 (warp_n * Cut::kWarpKeys + lane % 4 * 2) * 2;
#pragma unroll
    for (int part = 0; part < Cut::kWarpKeys / 8; ++part) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float left = cuda::Exp2(logits[part][2 * half] - base[half]);
        const float right = cuda::Exp2(logits[part][2 * half + 1] - base[half]);
        sum[half] += left + right;
        *reinterpret_cast<std::uint32_t*>(weight_at + half * 8 * Cut::kWeightStride + part * 16) =
            PackBFloat16(left, right);
      }
    }
    if constexpr (Cut::kWarpsN > 1) {
      __syncthreads();
    } else {
      __syncwarp();
    }

    const std::byte* const row_weights =
        weights + (warp_m * 16 + lane % 16) * Cut::kWeightStride + lane / 16 * 16;
    const std::byte* const value_at = tile_values + lane % 16 * Cut::kValueStride +
                                      (warp_n * Cut::kWarpValues + lane / 16 * 8) * 2;
#pragma unroll
    for (int step = 0; step < Cut::kTileKeys / 16; ++step) {
      std::uint32_t a[4];
      cuda::LoadMatrices(a, row_weights + step * 32);
#pragma unroll
      for (int pair = 0; pair < Cut::kWarpValues / 16; ++pair) {
        std::uint32_t b[4];
        cuda::LoadTransposed(b, value_at + step * 16 * Cut::kValueStride + pair * 32);
        cuda::MultiplyAdd(context[2 * pair], a[0], a[1], a[2], a[3], b[0], b[1]);
        cuda::MultiplyAdd(context[2 * pair + 1], a[0], a[1], a[2], a[3], b[2], b[3]);
      }
    }
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    sum[half] += __shfl_xor_sync(0xffffffffU, sum[half], 1);
    sum[half] += __shfl_xor_sync(0xffffffffU, sum[half], 2);
  }
  if constexpr (Cut::kWarpsN > 1) {
    float* const of_rows = exchange + warp_m * 16 + lane / 4;
    __syncthreads();  // the last maxima have been read
    if (lane % 4 == 0) {
      of_rows[warp_n * Cut::kRows] = sum[0];
      of_rows[warp_n * Cut::kRows + 8] = sum[1];
    }
    __syncthreads();
    sum[0] = sum[1] = 0.0F;
#pragma unroll
    for (int other = 0; other < Cut::kWarpsN; ++other) {
      sum[0] += of_rows[other * Cut::kRows];
      sum[1] += of_rows[other * Cut::kRows + 8];
    }
  }

#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = warp_m * 16 + half * 8 + lane / 4;
    if (row >= rows.count()) continue;
    const float scale = sum[half] > 0.0F ? 1.0F / sum[half] : 0.0F;
    const float log_sum = sum[half] > 0.0F ? highest[half] + log2f(sum[half]) : kMinusInfinity;
    const std::int64_t head = rows.Head(row);
    const std::int64_t part_row = PartRow(launch, static_cast<int>(blockIdx.z), Cut::kRows, row);
    if (warp_n == 0 && lane % 4 == 0) {
      if (launch.split.splits > 1) {
        launch.part_sums[part_row] = log_sum;
      } else if (launch.arrays.log_sum_exp != nullptr) {
        launch.arrays.log_sum_exp[head] = log_sum * kLn2;
      }
    }
#pragma unroll
    for (int part = 0; part < Cut::kWarpValues / 8; ++part) {
      const int value = warp_n * Cut::kWarpValues + part * 8 + lane % 4 * 2;
      if (value >= launch.value_dim) continue;
      const float left = context[part][2 * half] * scale;
      const float right = context[part][2 * half + 1] * scale;
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

}  // namespace pinboard::engine
