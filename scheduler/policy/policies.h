// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The policies by function, for the registry in policy.cc alone. Options are already checked.
#pragma once

#include "scheduler/policy/policy.h"

namespace pinboard::scheduler {

/// Nothing is evicted: what every other policy is measured against.
PolicySpec Full(const MethodOptions& method);
/// A hash of (seed, layer, position): what a score must beat.
PolicySpec Random(const MethodOptions& method);
PolicySpec RandomPrompt(const MethodOptions& method);
/// Sinks and the most recent rows (StreamingLLM).
PolicySpec Recency(const MethodOptions& method);
PolicySpec RecencyPrompt(const MethodOptions& method);
/// Attention of the last window of queries, pooled over 5 rows, mean over all heads.
PolicySpec SnapKv(const MethodOptions& method);
/// The same for each KV head by itself, which keeps rows of its own (arXiv:2404.14469): for
/// comparison, since no block table and no page can be shared beyond the head.
PolicySpec SnapKvHeads(const MethodOptions& method);
/// The same scores under a pyramid of layer budgets (arXiv:2406.02069).
PolicySpec PyramidKv(const MethodOptions& method);
/// Attention summed over every query so far.
PolicySpec H2o(const MethodOptions& method);
/// Attention of the last query alone, mean over all heads (arXiv:2401.06104).
PolicySpec Tova(const MethodOptions& method);
/// Attention of the last 32 queries, pooled over 7 rows; the prompt stays. Meant for decoding with
/// a budget of what was generated: the baseline of arXiv:2606.26875.
PolicySpec Rpc(const MethodOptions& method);
/// Attention of the last 8 queries, its peak over 7 rows, less what other rows' keys say too:
/// 0.07 * A - 0.93 * R (R-KV, arXiv:2505.24133), on one set for all heads.
PolicySpec Rkv(const MethodOptions& method);
/// The attention that queries like the window's are expected to pay in the next 512 positions, by
/// the size of the value they find (arXiv:2510.00636), mean over all heads.
PolicySpec ExpectedAttention(const MethodOptions& method);
/// How uncertain the model was of a token, H, and nothing else.
PolicySpec EntropyOnly(const MethodOptions& method);
/// How far a layer's representation is from the last one's, D, and nothing else.
PolicySpec ShiftOnly(const MethodOptions& method);
/// Attention and information fused (docs/method.md section 2); the band by the same score.
PolicySpec InfoKv(const MethodOptions& method);
/// Two horizons: keep by the fusion; of the first band near_share by it too, the rest by
/// information.
PolicySpec Pinboard(const MethodOptions& method);

}  // namespace pinboard::scheduler
