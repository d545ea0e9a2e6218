// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/mlp_block.h"

#include <algorithm>

#include "engine/blas.h"
#include "engine/elementwise.h"

namespace pinboard::engine {

void MlpBlock::Run(const LayerWeights& weights, int tokens, absl::Span<const float> normed,
                   absl::Span<float> out) {
  if (weights.mlp.gate.out > 0) {
    RunDense(weights.mlp, tokens, normed.data(), out.data());
  } else {
    std::fill(out.begin(), out.end(), 0.0F);
  }
  if (weights.experts.routed.empty()) return;
  RouteAll(weights.experts, tokens, normed);
  for (std::size_t expert = 0; expert < by_expert_.size(); ++expert) {
    AddExpert(weights.experts.routed[expert], by_expert_[expert], normed, out);
  }
}

void MlpBlock::RunDense(const MlpWeights& weights, int tokens, const float* in, float* out) {
  gate_.resize(static_cast<std::size_t>(tokens) * weights.gate.out);
  up_.resize(gate_.size());
  Apply(weights.gate, tokens, in, gate_.data());
  Apply(weights.up, tokens, in, up_.data());
  SiluTimes(up_.data(), gate_.size(), gate_.data());
  Apply(weights.down, tokens, gate_.data(), out);
}

void MlpBlock::RouteAll(const ExpertWeights& weights, int tokens, absl::Span<const float> normed) {
  by_expert_.resize(weights.routed.size());
  for (std::vector<Routed>& routed : by_expert_) routed.clear();
  for (int token = 0; token < tokens; ++token) {
    const float* x = normed.data() + static_cast<std::size_t>(token) * weights.gate.in;
    for (const ExpertChoice& choice : router_.Route(weights, x)) {
      by_expert_[choice.expert].push_back({token, choice.weight});
    }
  }
}

void MlpBlock::AddExpert(const MlpWeights& weights, absl::Span<const Routed> routed,
                         absl::Span<const float> normed, absl::Span<float> out) {
  if (routed.empty()) return;
  const std::size_t hidden = weights.gate.in;
  expert_in_.resize(routed.size() * hidden);
  expert_out_.resize(expert_in_.size());
  for (std::size_t i = 0; i < routed.size(); ++i) {
    std::copy_n(normed.data() + routed[i].token * hidden, hidden, expert_in_.data() + i * hidden);
  }
  RunDense(weights, static_cast<int>(routed.size()), expert_in_.data(), expert_out_.data());
  for (std::size_t i = 0; i < routed.size(); ++i) {
    float* target = out.data() + routed[i].token * hidden;
    const float* source = expert_out_.data() + i * hidden;
    for (std::size_t j = 0; j < hidden; ++j) target[j] += routed[i].weight * source[j];
  }
}

}  // namespace pinboard::engine
