// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a round does with scores themselves, where it must: on the host.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/select/select.h"
#include "shard/round_plan.h"

namespace pinboard {

/// One layer's rows.
struct LayerScores {
  absl::Span<const std::int32_t> positions;  // [rows]
  absl::Span<std::int64_t> scores;           // [rows]
};

/// Scope global: a row scores the sum over the layers, so that all keep the same positions. What
/// only some layers have, in their rings, cannot be kept by all.
void UniteKeepScores(int length, absl::Span<const LayerScores> layers);

/// Of one layer's selection, for whoever asks for plans: kept rows that nothing protects, and those
/// that are not kept.
void SummariseScores(absl::Span<const std::int64_t> scores,
                     absl::Span<const kernels::RowClass> classes,
                     absl::Span<const std::uint8_t> is_protected, LayerPlan* plan);

}  // namespace pinboard
