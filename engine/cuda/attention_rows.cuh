// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What paged attention reads and where it writes: rows of the cache, queries of
// a tile, parts.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "engine/cuda/attention_tuning.h"
#include "engine/cuda/paged_attention.cuh"
#include "engine/cuda/shared_rows.cuh"

namespace pinboard::engine {

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

  /// Begins to copy kRows rows, padded to kDim values, from `first` on; zeros
  /// from row `end` on.
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

}  // namespace pinboard::engine
