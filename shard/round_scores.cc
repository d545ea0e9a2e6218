// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_scores.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/fixed_point.h"

namespace pinboard {
namespace {

/// Below every score: Select keeps such a row last.
constexpr std::int64_t kNeverKept = std::numeric_limits<std::int64_t>::min();

ScoreSummary Summary(absl::Span<const std::int64_t> scores) {
  if (scores.empty()) return {};
  const auto real = [](std::int64_t score) { return FromFixed(score, kScoreFractionBits); };
  const auto [lowest, highest] = std::minmax_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (const std::int64_t score : scores) sum += real(score);
  return {static_cast<int>(scores.size()), real(*lowest), sum / static_cast<double>(scores.size()),
          real(*highest)};
}

}  // namespace

void UniteKeepScores(int length, absl::Span<const LayerScores> layers) {
  std::vector<std::int64_t> sum(length, 0);
  std::vector<std::size_t> holders(length, 0);
  for (const LayerScores& layer : layers) {
    for (std::size_t i = 0; i < layer.scores.size(); ++i) {
      sum[layer.positions[i]] += layer.scores[i];
      ++holders[layer.positions[i]];
    }
  }
  for (const LayerScores& layer : layers) {
    for (std::size_t i = 0; i < layer.scores.size(); ++i) {
      const std::int32_t position = layer.positions[i];
      layer.scores[i] = holders[position] == layers.size() ? sum[position] : kNeverKept;
    }
  }
}

void SummariseScores(absl::Span<const std::int64_t> scores,
                     absl::Span<const kernels::RowClass> classes,
                     absl::Span<const std::uint8_t> is_protected, LayerPlan* plan) {
  std::vector<std::int64_t> kept;
  std::vector<std::int64_t> other;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (classes[i] != kernels::RowClass::kKept) {
      other.push_back(scores[i]);
    } else if (is_protected[i] == 0) {
      kept.push_back(scores[i]);
    }
  }
  plan->kept_scores = Summary(kept);
  plan->other_scores = Summary(other);
}

}  // namespace pinboard
