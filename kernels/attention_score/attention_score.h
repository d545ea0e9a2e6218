// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A: how much the last queries attend to each cached row.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// One sequence, one layer, this rank's query heads. All spans: host memory.
struct AttentionScoreArgs {
  KvLayerView cache;
  KvShape shape;
  int block_size = 0;
  absl::Span<const std::int32_t> block_table;  // physical row r lies in block_table[r / block_size]
  absl::Span<const std::int32_t>
      row_positions;  // [rows]: position of the token in each physical row
  int ring_rows = 0;  // rows at the head, of any positions; behind them positions ascend
  absl::Span<const std::int32_t> order;  // [rows]: the physical rows by ascending position
  absl::Span<const float> queries;       // [window, query_heads, key_dim], rotated (MLA: absorbed)
  absl::Span<const std::int32_t> query_positions;  // [window]
  int query_heads = 0;        // on this rank; head h reads KV head h * kv_heads / query_heads
  int total_query_heads = 0;  // over all ranks
  float scale = 1.0F;         // of the logits
  int pool = 1;               // odd; average pooling along the rows, zero padded, divided by pool
  /// [window, query_heads]: ln of the sum of exp(scale * q.k) over the rows that a query attended
  /// to, as the attention that it ran in leaves it. Those rows may have been more than the ones it
  /// attends to here. Empty: taken over the latter, which costs a second pass over the keys.
  absl::Span<const float> log_sum_exp;
};

/// out[i] = round(2^30 / total_query_heads * sum over heads of pool(mean over queries of
/// softmax(scale * q.k))[i]) for row order[i]: docs/method.md section 2, A, as this rank's share of
/// a fixed-point sum (base/fixed_point.h). A query attends to rows with position <= its own;
/// softmax and pooling run over all rows, the ring's included, pooling in the order of positions.
/// Where log_sum_exp is given, exp(scale * q.k - log_sum_exp) stands for the softmax. Cost: window
/// * heads * rows * key_dim multiply-adds, twice. InvalidArgument: shapes disagree, a query or a
/// key that counts is not finite, or a log_sum_exp is so low, or not a number, that a row's share
/// exceeds what query_heads can give by half.
absl::Status AttentionScore(const AttentionScoreArgs& args, absl::Span<std::int32_t> out);

}  // namespace pinboard::kernels
