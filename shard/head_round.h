// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a round does differently where each KV head keeps rows of its own (policy snapkv-heads).
//
// A physical row then holds another token in each head, in ascending positions within a head; the
// sinks and the recent rows, which all heads keep, lie in the same rows of all. LayerState speaks
// of the model's first KV head. There are no pages: a page is a row of all heads.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "shard/block_tables.h"
#include "shard/context.h"
#include "shard/round_signals.h"

namespace pinboard {

/// A of one layer for each KV head by itself: mean over the query heads that read it. This rank's
/// share of an integer sum, [total_kv_heads, rows], of which the heads of other ranks are left
/// zero. On the host alone.
absl::Status HeadAttention(const ShardContext& context, const SignalRequest& request, int l,
                           absl::Span<std::int32_t> out);

/// The rows that each KV head keeps, [total_kv_heads][keep], ascending, from the merged A.
absl::StatusOr<std::vector<std::vector<std::int32_t>>> SelectHeadRows(
    absl::Span<const std::int32_t> attention, absl::Span<const std::uint8_t> is_protected,
    int keep);

/// Compacts layer `l` head by head: row rows[h][i] of this rank's KV head h moves to row i of the
/// destination, and the rows [begin, end) of all heads behind them.
absl::Status CompactHeads(const ShardContext& context, int l, const RoundTables& tables,
                          absl::Span<const std::vector<std::int32_t>> rows, int begin, int end);

}  // namespace pinboard
