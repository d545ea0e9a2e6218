// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/paged_attention.h"

#include <algorithm>
#include <cstring>

#include "engine/blas.h"
#include "engine/elementwise.h"

namespace pinboard::engine {
namespace {

/// Rows of logits in a tile: enough for an efficient product, few enough to stay in the cache.
constexpr int kTileRows = 96;

void Reserve(std::vector<float>* buffer, std::size_t size) {
  if (buffer->size() < size) buffer->resize(size);
}

}  // namespace

void PagedAttention::Run(const HostKvCache& cache, int layer, const StepBatch& batch,
                         absl::Span<const float> queries, absl::Span<float> context,
                         absl::Span<float> log_sum_exps) {
  const KvShape& shape = cache.shape();
  Group group;
  group.heads = query_heads_ / shape.kv_heads;
  group.key_dim = shape.key_dim;
  group.value_dim = shape.value_dim;
  const int tile_tokens = std::max(1, kTileRows / group.heads);
  for (const BatchEntry& entry : batch.entries) {
    const BatchTable& table = entry.table(layer);
    const int rows = table.resident_rows + entry.tokens;
    group.resident_rows = table.resident_rows;
    for (int head = 0; head < shape.kv_heads; ++head) {
      group.first_head = head * group.heads;
      Reserve(&keys_, static_cast<std::size_t>(rows) * shape.key_dim);
      cache.ReadKeys(layer, table.blocks, rows, head, keys_.data());
      group.keys = group.values = keys_.data();
      group.value_stride = shape.key_dim;
      if (!shape.value_in_key) {
        Reserve(&values_, static_cast<std::size_t>(rows) * shape.value_dim);
        cache.ReadValues(layer, table.blocks, rows, head, values_.data());
        group.values = values_.data();
        group.value_stride = shape.value_dim;
      }
      for (int first = 0; first < entry.tokens; first += tile_tokens) {
        RunTile(group, entry, first, std::min(tile_tokens, entry.tokens - first), queries.data(),
                context.data(), log_sum_exps.data());
      }
    }
  }
}

void PagedAttention::RunTile(const Group& group, const BatchEntry& entry, int first, int tokens,
                             const float* queries, float* context, float* log_sum_exps) {
  const int tile_rows = tokens * group.heads;
  const int seen = group.resident_rows + first + tokens;  // rows the tile's last token sees
  Reserve(&tile_queries_, static_cast<std::size_t>(tile_rows) * group.key_dim);
  Reserve(&logits_, static_cast<std::size_t>(tile_rows) * seen);
  Reserve(&tile_context_, static_cast<std::size_t>(tile_rows) * group.value_dim);

  const auto head_offset = [&](int token, int dim) {
    const std::size_t step_token = entry.first_token + first + token;
    return (step_token * query_heads_ + group.first_head) * dim;
  };
  for (int token = 0; token < tokens; ++token) {
    std::memcpy(tile_queries_.data() + token * group.heads * group.key_dim,
                queries + head_offset(token, group.key_dim),
                sizeof(float) * group.heads * group.key_dim);
  }
  MultiplyTransposed(tile_rows, seen, group.key_dim, scale_, {tile_queries_.data(), group.key_dim},
                     {group.keys, group.key_dim}, {logits_.data(), seen});
  row_scales_.resize(tile_rows);
  for (int row = 0; row < tile_rows; ++row) {
    float* logits = logits_.data() + static_cast<std::size_t>(row) * seen;
    const int visible = seen - tokens + row / group.heads + 1;
    const RowSum sum = ExponentiateRow(logits, visible);
    row_scales_[row] = sum.inverse;
    log_sum_exps[head_offset(row / group.heads, 1) + row % group.heads] = sum.log_sum_exp;
    std::fill(logits + visible, logits + seen, 0.0F);
  }
  Multiply(tile_rows, group.value_dim, seen, {logits_.data(), seen},
           {group.values, group.value_stride}, {tile_context_.data(), group.value_dim});
  for (int row = 0; row < tile_rows; ++row) {
    const float* source = tile_context_.data() + static_cast<std::size_t>(row) * group.value_dim;
    float* target = context + head_offset(row / group.heads, group.value_dim) +
                    row % group.heads * group.value_dim;
    for (int i = 0; i < group.value_dim; ++i) target[i] = source[i] * row_scales_[row];
  }
}

}  // namespace pinboard::engine
