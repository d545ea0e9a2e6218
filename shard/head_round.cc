// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/head_round.h"

#include <algorithm>
#include <numeric>

#include "base/status_macros.h"
#include "kernels/select/select.h"
#include "shard/census.h"

namespace pinboard {
namespace {

/// The model as one of this rank's KV heads sees it.
ShardModel OneHead(const ShardModel& model, int l, int head) {
  ShardModel one;
  one.kv = model.kv;
  one.kv.kv_heads = 1;
  one.block_size = model.block_size;
  one.cache = {{model.cache[l].key.FromHead(head), model.cache[l].value.FromHead(head)}};
  return one;
}

/// Of queries [window, query_heads, key_dim] those of the `group` heads that read KV head `head`.
std::vector<float> GroupQueries(absl::Span<const float> queries, const ShardModel& model,
                                int head) {
  const std::size_t group = model.query_heads / model.kv.kv_heads * model.kv.key_dim;
  const std::size_t width = static_cast<std::size_t>(model.query_heads) * model.kv.key_dim;
  std::vector<float> picked;
  for (std::size_t first = head * group; first < queries.size(); first += width) {
    const auto from = queries.subspan(first, group);
    picked.insert(picked.end(), from.begin(), from.end());
  }
  return picked;
}

absl::Status CheckMoved(Operations& operations, const ShardModel& one,
                        absl::Span<const std::int32_t> block_table,
                        absl::Span<const std::uint64_t> before) {
  std::vector<std::int32_t> targets(before.size());
  std::iota(targets.begin(), targets.end(), 0);
  PB_ASSIGN_OR_RETURN(const std::vector<std::uint64_t> after,
                      HashRows(operations, one, 0, block_table, targets));
  if (after == before) return absl::OkStatus();
  return absl::InternalError("census: a KV head does not hold the bytes that it kept");
}

}  // namespace

absl::Status HeadAttention(const ShardContext& context, const SignalRequest& request, int l,
                           absl::Span<std::int32_t> out) {
  const SequenceState& state = *request.state;
  const ShardModel& model = context.options.model;
  const LayerState& layer = state.layers[l];
  const std::size_t rows = layer.positions.size();
  std::fill(out.begin(), out.end(), 0);
  const int heads = context.total_kv_heads();
  std::vector<std::int32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  for (int head = 0; head < model.kv.kv_heads; ++head) {
    const ShardModel one = OneHead(model, l, head);
    const std::vector<float> queries =
        GroupQueries(layer.queries.Last(state.policy.window), model, head);
    const RowsToScore of_head{
        {one.cache.front(), one.kv, one.block_size, TableOf(*request.block_tables, l),
         layer.positions,
         /*ring_rows=*/0, order, queries, layer.queries.LastPositions(state.policy.window),
         model.query_heads / model.kv.kv_heads, model.total_query_heads / heads,
         model.attention_scale, state.policy.pool},
        out.subspan((context.kv_shard() * model.kv.kv_heads + head) * rows, rows)};
    PB_RETURN_IF_ERROR(context.operations->AttentionScore({&of_head, 1}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<std::int32_t>>> SelectHeadRows(
    absl::Span<const std::int32_t> attention, absl::Span<const std::uint8_t> is_protected,
    int keep) {
  const std::size_t rows = is_protected.size();
  std::vector<std::vector<std::int32_t>> kept;
  std::vector<kernels::RowClass> classes(rows);
  for (std::size_t first = 0; first < attention.size(); first += rows) {
    const auto of_head = attention.subspan(first, rows);
    const std::vector<std::int64_t> score(of_head.begin(), of_head.end());
    PB_RETURN_IF_ERROR(
        kernels::Select({score, score, is_protected, keep, 0, 0}, absl::MakeSpan(classes)));
    kept.emplace_back();
    for (std::size_t row = 0; row < rows; ++row) {
      if (classes[row] == kernels::RowClass::kKept) {
        kept.back().push_back(static_cast<std::int32_t>(row));
      }
    }
  }
  return kept;
}

absl::Status CompactHeads(const ShardContext& context, int l, const RoundTables& tables,
                          absl::Span<const std::vector<std::int32_t>> rows, int begin, int end) {
  const ShardModel& model = context.options.model;
  const auto source = TableOf(tables.source, l);
  const auto destination = TableOf(tables.destination, l);
  for (int head = 0; head < model.kv.kv_heads; ++head) {
    const ShardModel one = OneHead(model, l, head);
    std::vector<std::int32_t> moved = rows[context.kv_shard() * model.kv.kv_heads + head];
    for (int row = begin; row < end; ++row) moved.push_back(row);
    std::vector<std::uint64_t> before;
    if (context.options.census) {
      PB_ASSIGN_OR_RETURN(before, HashRows(*context.operations, one, 0, source, moved));
    }
    const kernels::CompactArgs moves{one.cache.front(), one.kv,     one.block_size, source, moved,
                                     /*first_row=*/0,
                                     /*head_rows=*/0,   destination};
    PB_RETURN_IF_ERROR(context.operations->Compact({&moves, 1}));
    if (context.options.census) {
      PB_RETURN_IF_ERROR(CheckMoved(*context.operations, one, destination, before));
    }
  }
  return absl::OkStatus();
}

}  // namespace pinboard
