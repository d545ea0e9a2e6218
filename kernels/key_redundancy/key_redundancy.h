// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// R: how much the other rows' keys say what a row's key says (R-KV, arXiv:2505.24133).
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

/// One sequence, one layer, this rank's KV heads. All spans: host memory.
struct KeyRedundancyArgs {
  KvLayerView cache;
  KvShape shape;
  int block_size = 0;
  absl::Span<const std::int32_t> block_table;
  absl::Span<const std::int32_t> order;  // [rows]: the physical rows by ascending position
  int total_kv_heads = 0;                // over all ranks, each counted once
};

/// out[i] = round(2^30 / total_kv_heads * sum over heads of softmax over rows(m)[i]) for row
/// order[i], this rank's share of a fixed-point sum (base/fixed_point.h), where
///   m[i] = 1/rows * sum over rows j != i of cos(k_i, k_j), without those j whose last similar row
///          is i: the row of the highest position, j aside, with cos > 1/2.
/// So of rows that say the same the last one is not redundant. A key of zeros has cosine 0 with
/// all. Cost: rows * key_dim multiply-adds a head where each row has a similar one near the end,
/// rows^2 * key_dim where none has. InvalidArgument: shapes disagree, or a key is not finite.
absl::Status KeyRedundancy(const KeyRedundancyArgs& args, absl::Span<std::int32_t> out);

}  // namespace pinboard::kernels
