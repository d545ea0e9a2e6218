// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/moe_config.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

absl::Status ReadFields(const ConfigFields& fields, MoeConfig* config) {
  PB_RETURN_IF_ERROR(fields.RefuseUnless("scoring_func", "sigmoid"));
  PB_RETURN_IF_ERROR(fields.RefuseUnless("topk_method", "noaux_tc"));
  PB_RETURN_IF_ERROR(fields.RefuseUnless("moe_layer_freq", 1));
  PB_RETURN_IF_ERROR(fields.RequireNonNegative("n_shared_experts", &config->shared_experts));
  PB_RETURN_IF_ERROR(fields.RequirePositive("num_experts_per_tok", &config->experts_per_token));
  PB_RETURN_IF_ERROR(fields.RequirePositive("n_group", &config->groups));
  PB_RETURN_IF_ERROR(fields.RequirePositive("topk_group", &config->groups_per_token));
  PB_RETURN_IF_ERROR(fields.OptionalBool("norm_topk_prob", &config->normalised));
  PB_RETURN_IF_ERROR(fields.RequirePositive("routed_scaling_factor", &config->weight_scale));
  return fields.RequirePositive("moe_intermediate_size", &config->intermediate_size);
}

/// A group is ranked by its two best experts.
absl::Status CheckGroups(const ConfigFields& fields, const MoeConfig& config) {
  const int group_size = config.routed_experts / config.groups;
  if (group_size * config.groups != config.routed_experts || group_size < 2) {
    return fields.Error(absl::StrCat(config.routed_experts, " routed experts do not make ",
                                     config.groups, " equal groups of two or more"));
  }
  if (config.groups_per_token > config.groups) {
    return fields.Error(absl::StrCat("\"topk_group\" is ", config.groups_per_token, " of ",
                                     config.groups, " groups"));
  }
  const int reachable = group_size * config.groups_per_token;
  if (config.experts_per_token > reachable) {
    return fields.Error(absl::StrCat("\"num_experts_per_tok\" is ", config.experts_per_token,
                                     ", but a token's groups have ", reachable, " experts"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MoeConfig> ReadMoeConfig(const ConfigFields& fields, int layers) {
  MoeConfig config;
  PB_RETURN_IF_ERROR(fields.OptionalNonNegative("n_routed_experts", &config.routed_experts));
  if (config.routed_experts == 0) return MoeConfig();
  PB_RETURN_IF_ERROR(fields.RequireNonNegative("first_k_dense_replace", &config.dense_layers));
  if (config.dense_layers >= layers) return MoeConfig();
  PB_RETURN_IF_ERROR(ReadFields(fields, &config));
  PB_RETURN_IF_ERROR(CheckGroups(fields, config));
  return config;
}

}  // namespace pinboard::engine
