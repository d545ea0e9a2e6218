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
/// Attention summed over every query so far.
PolicySpec H2o(const MethodOptions& method);
/// Attention and information fused (method.md section 2); the band by the same score.
PolicySpec InfoKv(const MethodOptions& method);
/// Two horizons: keep by the fusion; of the band, near_share by it too, the rest by information.
PolicySpec Pinboard(const MethodOptions& method);

}  // namespace pinboard::scheduler
