// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How much the queries to come may be expected to attend to each cached row, and to take from it
// (Expected Attention, arXiv:2510.00636).
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "pinboard/kv_layout.h"
#include "pinboard/rotary.h"

namespace pinboard::kernels {

/// One sequence, one layer, this rank's query heads. All spans: host memory.
struct ExpectedAttentionArgs {
  KvLayerView cache;
  KvShape shape;
  int block_size = 0;
  absl::Span<const std::int32_t> block_table;
  absl::Span<const std::int32_t> order;  // [rows]: the rows of the results
  absl::Span<const float> queries;       // [window, query_heads, key_dim], rotated (MLA: absorbed)
  absl::Span<const std::int32_t> query_positions;  // [window]
  int query_heads = 0;        // on this rank; head h reads KV head h * kv_heads / query_heads
  int total_query_heads = 0;  // over all ranks
  float scale = 1.0F;         // of the logits
  const RotaryShape& rotary;
  int next_position = 0;  // the first position to come
};

/// Positions to come that are looked at.
inline constexpr int kExpectedPositions = 512;

/// out[i] = round(2^30 / total_query_heads * sum over heads of
///                softmax over rows(z)[i] * |v_i| / max over rows |v|) for row order[i],
/// this rank's share of a fixed-point sum (base/fixed_point.h). A head's queries, before they are
/// rotated, are taken as normal with the window's mean mu and covariance S; R is the mean of the
/// rotations of positions next_position ... next_position + 511. Then a query to come gives row i
/// the expected weight exp(z_i), where
///   z_i = scale * k_i . R mu + scale^2 / 2 * k_i . (R S R^T) k_i
///       = mean + variance / 2, over the window's queries q, of scale * k_i . R q.
/// The value is the KV head's, or the latent where it lies in the key; dividing by the largest one
/// changes no head's ranking and keeps a share within [0, 1 / total_query_heads].
/// Cost: window * heads * rows * key_dim multiply-adds. InvalidArgument: shapes disagree, or a
/// query, a key or a value is not finite.
absl::Status ExpectedAttention(const ExpectedAttentionArgs& args, absl::Span<std::int32_t> out);

}  // namespace pinboard::kernels
