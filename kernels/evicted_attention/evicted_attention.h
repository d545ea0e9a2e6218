// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How good the attended rows are for a query: what it would have given to evicted pages, and
// whether it looks at what came back.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/page_digest/page_digest.h"
#include "kernels/paged_rows.h"

namespace pinboard::kernels {

/// A row is attended to where some head gives it at least this share of its attention.
inline constexpr double kAttendedShare = 0.01;

/// One query of one layer, host memory.
struct EvictedAttentionArgs {
  PagedLayer layer;
  std::int64_t rows = 0;       // attended: physical rows [0, rows)
  std::int64_t ring_rows = 0;  // the first of them came back
  DigestView digests;
  absl::Span<const std::int32_t> evicted;  // indices into the digests; none of these pages' rows is
                                           // attended
  absl::Span<const float> query;           // [query_heads, key_dim]
  int query_heads = 0;
  float attention_scale = 1.0F;
};

struct EvictedAttentionResult {
  /// Mean over this rank's heads of M / (R + M), in [0, 1): R the sum of exp(scale * q.k) over the
  /// attended rows, M over the centres c of the evicted pages of count_c * exp(scale * q.c), their
  /// rows' estimate. As exp is convex and c the mean of its rows' keys, M is at most the exact sum,
  /// but for the rounding of centres to steps.
  double evicted_share = 0.0;
  /// Rows of the ring to which some head of this rank gives at least kAttendedShare of its
  /// attention over the attended rows.
  std::int64_t attended_ring_rows = 0;
};

/// It decides nothing: double arithmetic, not the same bits on every device. InvalidArgument: sizes
/// disagree, no row is attended, a page has no digest, or a query, a key or a digest is not finite.
absl::StatusOr<EvictedAttentionResult> EvictedAttention(const EvictedAttentionArgs& args);

}  // namespace pinboard::kernels
