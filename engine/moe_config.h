// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Mixture of experts as DeepSeek-V3 (arXiv 2412.19437, section 2.1.2) has it.
#pragma once

#include "absl/status/statusor.h"
#include "engine/config_fields.h"

namespace pinboard::engine {

/// Each token is given to a few routed experts, which are small MLPs, and to all shared ones.
struct MoeConfig {
  int routed_experts = 0;     // 0: every layer's MLP is dense
  int shared_experts = 0;     // together one MLP of so many times intermediate_size
  int experts_per_token = 0;  // of the routed ones
  int groups = 1;             // the routed experts in equal, consecutive groups
  int groups_per_token = 1;   // a token's experts lie in so many of them
  bool normalised = true;     // a token's weights sum to weight_scale
  double weight_scale = 1.0;
  int intermediate_size = 0;  // columns of one expert
  int dense_layers = 0;       // so many first layers have a dense MLP

  bool HasExperts(int layer) const { return routed_experts > 0 && layer >= dense_layers; }
};

/// Reads n_routed_experts, n_shared_experts, num_experts_per_tok, n_group, topk_group,
/// norm_topk_prob, routed_scaling_factor, moe_intermediate_size and first_k_dense_replace; a model
/// of `layers` layers that are all dense is one without experts, whatever else is declared.
/// InvalidArgument: a field is missing or does not fit the others. Unimplemented: another
/// scoring_func, topk_method or moe_layer_freq, by name.
absl::StatusOr<MoeConfig> ReadMoeConfig(const ConfigFields& fields, int layers);

}  // namespace pinboard::engine
