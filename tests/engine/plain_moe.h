// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The oracle's choice of experts, by sorting, in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/moe_config.h"

namespace pinboard::engine::testing {

/// Indices in the order of descending values, ties to the lower index.
inline std::vector<int> Ranked(const std::vector<double>& values) {
  std::vector<int> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return values[a] > values[b]; });
  return order;
}

/// Experts and weights from the gate's logits [experts] and the correction bias.
inline std::vector<std::pair<int, double>> ChosenExperts(const MoeConfig& moe,
                                                         std::vector<double> logits,
                                                         const std::vector<float>& bias) {
  std::vector<double> scores, corrected;
  for (std::size_t expert = 0; expert < logits.size(); ++expert) {
    scores.push_back(1 / (1 + std::exp(-logits[expert])));
    corrected.push_back(scores[expert] + bias[expert]);
  }
  const int size = moe.routed_experts / moe.groups;
  std::vector<double> worths;
  for (int group = 0; group < moe.groups; ++group) {
    const std::vector<double> members(corrected.begin() + group * size,
                                      corrected.begin() + (group + 1) * size);
    const std::vector<int> order = Ranked(members);
    worths.push_back(members[order[0]] + members[order[1]]);
  }
  std::vector<int> groups = Ranked(worths);
  groups.resize(moe.groups_per_token);
  std::vector<std::pair<int, double>> chosen;
  double sum = 0;
  for (const int expert : Ranked(corrected)) {
    if (std::find(groups.begin(), groups.end(), expert / size) == groups.end()) continue;
    if (chosen.size() == static_cast<std::size_t>(moe.experts_per_token)) break;
    chosen.emplace_back(expert, scores[expert]);
    sum += scores[expert];
  }
  for (auto& [expert, weight] : chosen) {
    weight *= moe.weight_scale / (moe.normalised ? sum : 1);
  }
  return chosen;
}

}  // namespace pinboard::engine::testing
