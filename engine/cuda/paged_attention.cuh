// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Attention of a step's tokens over the rows of the paged cache (engine/paged_attention.h), on the
// device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "engine/cuda/device_batch.cuh"
#include "pinboard/kv_layout.h"

namespace pinboard::engine {

struct PagedAttentionShape {
  KvShape kv;  // bf16
  int block_size = 0;
  int query_heads = 0;  // head h reads KV head h * kv_heads / query_heads
  float scale = 1.0F;   // of the logits
};

/// Unimplemented, naming the size, where no kernel is made for it: bf16 values of at most 128, or
/// values in keys of at most 576 and 512, an even number each.
absl::Status CheckPagedAttention(const PagedAttentionShape& shape);

/// One layer. Device memory; rows 4-byte aligned at least.
struct PagedAttentionArrays {
  KvLayerView cache;
  LayerBatch batch;
  const float* queries = nullptr;    // [tokens, query_heads, key_dim], 8-byte aligned
  std::uint16_t* context = nullptr;  // [tokens, query_heads, value_dim], bf16
  /// [tokens, query_heads]: ln of the sum of exp(scale * q.k) over the rows that a query sees;
  /// null: not wanted.
  float* log_sum_exp = nullptr;
};

/// Bytes of device memory, 16-byte aligned, that LaunchPagedAttention works in for these tiles.
std::size_t PagedAttentionWorkspaceBytes(const PagedAttentionShape& shape, const TileList& small,
                                         const TileList& large, int multiprocessors);

/// context = softmax(scale * queries keys^T) values over the rows that each token sees, the step's
/// own included, which are in the cache already. Queries and the weights of rows are rounded to
/// bf16; products are summed in float by the tensor cores, softmax is taken in float, tile after
/// tile of keys (FlashAttention, arXiv 2205.14135); where tiles are few, the rows are split over
/// several blocks and merged. `small` and `large` cover the step's entries. Stream-ordered; never
/// synchronises. Requires CheckPagedAttention.
absl::Status LaunchPagedAttention(const PagedAttentionShape& shape,
                                  const PagedAttentionArrays& arrays, const TileList& small,
                                  const TileList& large, int multiprocessors, void* workspace,
                                  cudaStream_t stream);

}  // namespace pinboard::engine
