// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/size/memory_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/page.h"
#include "base/status_macros.h"
#include "engine/rank_plan.h"
#include "kernels/page_digest/page_digest.h"
#include "pinboard/kv_layout.h"
#include "scheduler/policy/policy.h"

namespace pinboard::app {
namespace {

constexpr int kBlockSize = 16;
constexpr std::uint64_t kMaxTokenBytes = std::uint64_t{1} << 30;

/// How the engine splits this attention. The rest of the configuration stays 0: nothing to divide.
absl::StatusOr<engine::RankPlan> SplitHeads(const AttentionShape& model, int tp) {
  engine::ModelConfig config;
  config.heads = model.heads;
  config.kv_heads = model.kv_heads;
  if (model.is_mla()) config.architecture = engine::Architecture::kDeepseekV3;
  return engine::MakeRankPlan(config, 0, tp);
}

KvShape LocalShape(const AttentionShape& model, int kv_heads) {
  if (!model.is_mla()) return {kv_heads, model.head_dim, model.head_dim};
  return {1, model.latent_dim + model.rotary_dim, model.latent_dim, /*value_in_key=*/true};
}

int WholeBlocks(int rows) { return BlocksFor(rows, kBlockSize) * kBlockSize; }

scheduler::RoundPlan FirstRound(const scheduler::BudgetOptions& budget, int tokens) {
  const scheduler::MethodOptions method;
  scheduler::SequenceSnapshot sequence;
  sequence.length = tokens;
  sequence.rows = tokens;
  sequence.protected_rows = std::min(tokens, method.sinks + method.window);
  sequence.block_size = kBlockSize;
  return scheduler::PlanRound(budget, sequence);
}

absl::Status CheckTokens(int tokens) {
  if (tokens >= 1 && tokens <= kMaxContextTokens) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a context has 1 to ", kMaxContextTokens, " tokens, not ", tokens));
}

}  // namespace

absl::StatusOr<MemoryPlan> PlanMemory(const MemoryRequest& request) {
  PB_RETURN_IF_ERROR(CheckTokens(request.tokens));
  PB_RETURN_IF_ERROR(scheduler::Validate(request.budget));
  PB_ASSIGN_OR_RETURN(const engine::RankPlan heads, SplitHeads(request.model, request.tp));
  const KvShape shape = LocalShape(request.model, heads.kv_heads);
  PB_ASSIGN_OR_RETURN(const std::uint64_t row_bytes, RowBytes(shape, request.format));
  const std::uint64_t layers = request.model.layers;
  const std::uint64_t copies = request.tp / heads.kv_replicas;  // GPUs that hold different rows

  MemoryPlan plan;
  plan.kv_replicas = heads.kv_replicas;
  plan.gpu_token_bytes = layers * row_bytes;
  plan.token_bytes = plan.gpu_token_bytes * copies;
  if (plan.token_bytes > kMaxTokenBytes) {
    return absl::InvalidArgumentError("a token of this model would take more than 1 GiB");
  }
  plan.gpu_full_bytes = plan.gpu_token_bytes * WholeBlocks(request.tokens);

  const scheduler::RoundPlan round = FirstRound(request.budget, request.tokens);
  plan.compressed = round.compress;
  plan.kept_rows = round.keep_rows;
  plan.ring_rows = round.ring_pages * kPageRows;
  plan.band_pages = round.band_pages;
  plan.gpu_resident_bytes = plan.gpu_token_bytes * WholeBlocks(plan.kept_rows + plan.ring_rows);
  plan.gpu_digest_bytes = layers * round.band_pages * kernels::DigestBytes(shape);
  plan.band_bytes = plan.token_bytes * round.band_pages * kPageRows;
  return plan;
}

}  // namespace pinboard::app
