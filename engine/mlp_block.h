// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The MLP of a layer, dense or a mixture of experts.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "engine/expert_router.h"
#include "engine/moe_config.h"
#include "engine/weights.h"

namespace pinboard::engine {

/// y = down (silu(gate x) * up x), of this rank's columns: a partial sum. Of experts a rank has a
/// slice of every one's columns, as of a dense MLP's, so that a layer takes one sum over ranks
/// either way and no token is sent anywhere. Keeps scratch between calls; thread-compatible. Host
/// memory.
class MlpBlock {
 public:
  explicit MlpBlock(const MoeConfig& config) : router_(config) {}

  /// normed [tokens, hidden], the same on every rank, to this rank's part of the sum [tokens,
  /// hidden].
  void Run(const LayerWeights& weights, int tokens, absl::Span<const float> normed,
           absl::Span<float> out);

 private:
  struct Routed {
    int token = 0;
    float weight = 0.0F;
  };

  void RunDense(const MlpWeights& weights, int tokens, const float* in, float* out);
  void RouteAll(const ExpertWeights& weights, int tokens, absl::Span<const float> normed);
  /// out[token] += weight * expert(normed[token]) for the tokens of one expert.
  void AddExpert(const MlpWeights& weights, absl::Span<const Routed> routed,
                 absl::Span<const float> normed, absl::Span<float> out);

  ExpertRouter router_;
  std::vector<float> gate_, up_;                // [tokens, columns]
  std::vector<std::vector<Routed>> by_expert_;  // [experts]: tokens ascending
  std::vector<float> expert_in_, expert_out_;   // [tokens of one expert, hidden]
};

}  // namespace pinboard::engine
