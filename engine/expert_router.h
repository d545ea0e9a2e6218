// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which experts a token is given to.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "engine/moe_config.h"
#include "engine/weights.h"

namespace pinboard::engine {

struct ExpertChoice {
  int expert = 0;
  float weight = 0.0F;
};

/// The router without auxiliary loss (topk_method noaux_tc). With s = sigmoid(gate x) and c = s +
/// bias: a group is worth the sum of its two highest c; of the best groups_per_token groups the
/// experts_per_token highest c are chosen, and weigh s: the bias balances the load and changes no
/// sum. Weights are divided by their sum where `normalised`, and multiplied by weight_scale. Ties
/// go to the lower group and the lower expert.
///
/// The gate's products are plain loops in double and not BLAS, whose sums depend on how many tokens
/// a step has: a token's experts are the same on every rank, in every batch. Keeps scratch between
/// calls; thread-compatible.
class ExpertRouter {
 public:
  explicit ExpertRouter(const MoeConfig& config) : config_(config) {}

  /// The experts of a token with normed state x [hidden], best first; valid until the next call.
  absl::Span<const ExpertChoice> Route(const ExpertWeights& weights, const float* x);

 private:
  void Score(const ExpertWeights& weights, const float* x);
  void DropOtherGroups();
  void Weigh();

  MoeConfig config_;
  std::vector<float> scores_;        // [experts]: s
  std::vector<float> choosable_;     // [experts]: c, -infinity for what cannot be chosen any more
  std::vector<float> group_worths_;  // [groups]
  std::vector<ExpertChoice> choices_;
};

}  // namespace pinboard::engine
