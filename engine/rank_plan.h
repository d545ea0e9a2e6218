// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which part of a model a tensor-parallel rank owns.
#pragma once

#include "absl/status/statusor.h"
#include "engine/model_config.h"
#include "pinboard/kv_layout.h"

namespace pinboard::engine {

/// Query head h of the model belongs to rank h / heads; where the ranks are more than the KV heads,
/// `kv_replicas` consecutive ranks hold the same one. MLA's latent is on every rank.
struct RankPlan {
  int rank = 0;
  int ranks = 1;
  int first_head = 0;
  int heads = 0;
  int first_kv_head = 0;
  int kv_heads = 0;
  int kv_replicas = 1;
  int first_column = 0;  // of a dense MLP
  int columns = 0;
  int first_expert_column = 0;  // of every expert
  int expert_columns = 0;
  int vocab_begin = 0;
  int vocab_local = 0;
};

/// InvalidArgument: the number of ranks does not divide the model; the line names what it would
/// have to divide.
absl::StatusOr<RankPlan> MakeRankPlan(const ModelConfig& config, int rank, int ranks);

/// The rank's cache rows.
KvShape CacheShape(const ModelConfig& config, const RankPlan& plan, DType dtype);

}  // namespace pinboard::engine
