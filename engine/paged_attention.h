// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Attention of a step's tokens over the rows of the paged cache.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "engine/host_kv_cache.h"
#include "engine/step_batch.h"

namespace pinboard::engine {

/// MHA, GQA, MQA and absorbed MLA alike: what differs is the cache's shape. Keeps its scratch
/// between calls: the rows of one head as float and the logits of a tile of queries, so its memory
/// grows with the longest sequence and not with the number of queries. Thread-compatible.
class PagedAttention {
 public:
  /// `query_heads` on this rank; head h reads KV head h * kv_heads / query_heads.
  PagedAttention(int query_heads, float scale) : query_heads_(query_heads), scale_(scale) {}

  /// context [tokens, query_heads, value_dim] = softmax(scale * queries keys^T) values, where
  /// queries are [tokens, query_heads, key_dim] and the step's own rows are in the cache already.
  /// log_sum_exps [tokens, query_heads]: ln of the sum of exp(scale * q.k) over the rows that a
  /// query sees.
  void Run(const HostKvCache& cache, int layer, const StepBatch& batch,
           absl::Span<const float> queries, absl::Span<float> context,
           absl::Span<float> log_sum_exps);

 private:
  /// One sequence and one KV head: what its query heads have in common.
  struct Group {
    int first_head = 0;
    int heads = 0;
    int key_dim = 0;
    int value_dim = 0;
    int resident_rows = 0;
    const float* keys = nullptr;  // [rows, key_dim]
    const float* values = nullptr;
    int value_stride = 0;
  };
  void RunTile(const Group& group, const BatchEntry& entry, int first, int tokens,
               const float* queries, float* context, float* log_sum_exps);

  int query_heads_;
  float scale_;
  std::vector<float> keys_, values_;                                      // [rows, dim]
  std::vector<float> tile_queries_, logits_, row_scales_, tile_context_;  // [tile rows, ...]
};

}  // namespace pinboard::engine
