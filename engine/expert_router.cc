// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/expert_router.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pinboard::engine {
namespace {

constexpr float kTaken = -std::numeric_limits<float>::infinity();

/// The first index of the highest value, which is then taken out.
int TakeHighest(std::vector<float>* values) {
  const auto highest = std::max_element(values->begin(), values->end());
  *highest = kTaken;
  return static_cast<int>(highest - values->begin());
}

float SumOfTwoHighest(absl::Span<const float> values) {
  float first = kTaken, second = kTaken;
  for (const float value : values) {
    second = std::max(second, std::min(first, value));
    first = std::max(first, value);
  }
  return first + second;
}

}  // namespace

absl::Span<const ExpertChoice> ExpertRouter::Route(const ExpertWeights& weights, const float* x) {
  Score(weights, x);
  DropOtherGroups();
  choices_.clear();
  for (int i = 0; i < config_.experts_per_token; ++i) {
    const int expert = TakeHighest(&choosable_);
    choices_.push_back({expert, scores_[expert]});
  }
  Weigh();
  return choices_;
}

void ExpertRouter::Score(const ExpertWeights& weights, const float* x) {
  scores_.resize(config_.routed_experts);
  choosable_.resize(config_.routed_experts);
  const float* row = weights.gate.weight.data();
  for (int expert = 0; expert < config_.routed_experts; ++expert, row += weights.gate.in) {
    double logit = 0;
    for (int i = 0; i < weights.gate.in; ++i) logit += static_cast<double>(row[i]) * x[i];
    scores_[expert] = static_cast<float>(1.0 / (1.0 + std::exp(-logit)));
    choosable_[expert] = scores_[expert] + weights.gate_bias[expert];
  }
}

void ExpertRouter::DropOtherGroups() {
  const int size = config_.routed_experts / config_.groups;
  group_worths_.clear();
  for (absl::Span<const float> rest = choosable_; !rest.empty(); rest.remove_prefix(size)) {
    group_worths_.push_back(SumOfTwoHighest(rest.first(size)));
  }
  for (int i = 0; i < config_.groups_per_token; ++i) TakeHighest(&group_worths_);
  for (int expert = 0; expert < config_.routed_experts; ++expert) {
    if (group_worths_[expert / size] != kTaken) choosable_[expert] = kTaken;
  }
}

void ExpertRouter::Weigh() {
  constexpr float kNotZero = 1e-20F;  // as transformers has it
  float divisor = kNotZero;
  for (const ExpertChoice& choice : choices_) divisor += choice.weight;
  if (!config_.normalised) divisor = 1.0F;
  const auto scale = static_cast<float>(config_.weight_scale);
  for (ExpertChoice& choice : choices_) choice.weight = choice.weight / divisor * scale;
}

}  // namespace pinboard::engine
