// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/rank_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

absl::Status CheckDivides(int ranks, int whole, const char* what) {
  if (whole % ranks == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("tp ", ranks, " does not divide the model's ",
                                                 whole, " ", what, ": choose a tp that does"));
}

}  // namespace

absl::StatusOr<RankPlan> MakeRankPlan(const ModelConfig& config, int rank, int ranks) {
  PB_RETURN_IF_ERROR(CheckDivides(ranks, config.heads, "attention heads"));
  PB_RETURN_IF_ERROR(CheckDivides(ranks, config.intermediate_size, "MLP columns"));
  PB_RETURN_IF_ERROR(CheckDivides(ranks, config.moe.intermediate_size, "columns of an expert"));
  PB_RETURN_IF_ERROR(CheckDivides(ranks, config.vocab_size, "vocabulary rows"));
  RankPlan plan;
  plan.rank = rank;
  plan.ranks = ranks;
  plan.heads = config.heads / ranks;
  plan.first_head = rank * plan.heads;
  plan.columns = config.intermediate_size / ranks;
  plan.first_column = rank * plan.columns;
  plan.expert_columns = config.moe.intermediate_size / ranks;
  plan.first_expert_column = rank * plan.expert_columns;
  plan.vocab_local = config.vocab_size / ranks;
  plan.vocab_begin = rank * plan.vocab_local;
  if (config.is_mla()) {
    plan.kv_heads = 1;
    plan.kv_replicas = ranks;
    return plan;
  }
  if (config.kv_heads % ranks != 0 && ranks % config.kv_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("tp ", ranks, " neither divides the model's ", config.kv_heads,
                     " key-value heads nor is a multiple of them: choose a tp that is"));
  }
  plan.kv_replicas = std::max(1, ranks / config.kv_heads);
  plan.kv_heads = std::max(1, config.kv_heads / ranks);
  plan.first_kv_head = rank / plan.kv_replicas * plan.kv_heads;
  return plan;
}

KvShape CacheShape(const ModelConfig& config, const RankPlan& plan, DType dtype) {
  return {.kv_heads = config.is_mla() ? 1 : plan.kv_heads,
          .key_dim = config.key_dim(),
          .value_dim = config.value_dim(),
          .value_in_key = config.is_mla(),
          .dtype = dtype};
}

}  // namespace pinboard::engine
