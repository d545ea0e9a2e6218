// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/forward_pass.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/public_status.h"
#include "base/status_macros.h"
#include "engine/blas.h"
#include "engine/elementwise.h"

namespace pinboard::engine {
namespace {

constexpr int kLogitsChunkValues = 1 << 20;
constexpr int kMaxLogitsChunk = 256;  // tokens

std::unique_ptr<AttentionBlock> MakeAttention(const ModelConfig& config, const RankPlan& plan) {
  return config.is_mla() ? MakeLatentAttention(config, plan) : MakeGroupedAttention(config, plan);
}

std::size_t Values(int tokens, int width) { return static_cast<std::size_t>(tokens) * width; }

}  // namespace

ForwardPass::ForwardPass(const ModelConfig& config, const RankPlan& plan, ModelWeights weights,
                         transport::Communicator* communicator, absl::Duration deadline)
    : config_(config),
      plan_(plan),
      weights_(std::move(weights)),
      communicator_(communicator),
      deadline_(deadline),
      attention_(MakeAttention(config, plan)),
      mlp_(config.moe),
      rope_(attention_->MakeRope()),
      paged_attention_(plan.heads, config.attention_scale()) {}

absl::Status ForwardPass::Run(const StepBatch& batch, KvCache* cache, Shard* shard) {
  PB_RETURN_IF_ERROR(Embed(batch));
  rope_.SetPositions(batch.positions);
  for (int layer = 0; layer < config_.layers; ++layer) {
    PB_RETURN_IF_ERROR(RunAttention(layer, batch, cache, shard));
    PB_RETURN_IF_ERROR(RunMlp(layer, batch.size()));
    if (shard == nullptr) continue;
    PB_RETURN_IF_ERROR(ToAbslStatus(shard->ObserveHidden(layer, hidden_)));
  }
  return absl::OkStatus();
}

absl::Status ForwardPass::Embed(const StepBatch& batch) {
  const int width = config_.hidden_size;
  hidden_.assign(Values(batch.size(), width), 0.0F);
  for (int token = 0; token < batch.size(); ++token) {
    const int row = batch.tokens[token] - plan_.vocab_begin;
    if (row < 0 || row >= plan_.vocab_local) continue;
    std::copy_n(weights_.embedding.data() + Values(row, width), width,
                hidden_.data() + Values(token, width));
  }
  return SumOverRanks(hidden_);
}

absl::Status ForwardPass::SumOverRanks(std::vector<float>& values) {
  if (plan_.ranks == 1) return absl::OkStatus();
  return communicator_->SumFloat(absl::MakeSpan(values), absl::Now() + deadline_);
}

void ForwardPass::Normalise(const std::vector<float>& weight, int tokens) {
  const int width = config_.hidden_size;
  normed_.resize(Values(tokens, width));
  for (int token = 0; token < tokens; ++token) {
    RmsNorm(hidden_.data() + Values(token, width), weight.data(), config_.rms_norm_eps, width,
            normed_.data() + Values(token, width));
  }
}

absl::Status ForwardPass::RunAttention(int layer, const StepBatch& batch, KvCache* cache,
                                       Shard* shard) {
  const LayerWeights& weights = weights_.layers[layer];
  const int tokens = batch.size();
  queries_.resize(Values(tokens, plan_.heads * config_.key_dim()));
  context_.resize(Values(tokens, plan_.heads * config_.value_dim()));
  Normalise(weights.attention_norm, tokens);
  attention_->Project(weights, layer, batch, rope_, normed_, cache, absl::MakeSpan(queries_));
  if (shard != nullptr) PB_RETURN_IF_ERROR(ShowQueries(layer, tokens, shard));
  paged_attention_.Run(*cache, layer, batch, queries_, absl::MakeSpan(context_));
  partial_.resize(hidden_.size());
  attention_->Combine(weights, tokens, context_, absl::MakeSpan(partial_));
  return AddPartialSums();
}

absl::Status ForwardPass::ShowQueries(int layer, int tokens, Shard* shard) {
  PB_RETURN_IF_ERROR(ToAbslStatus(shard->ObserveQueries(layer, queries_)));
  for (const int later : shard->LayersToForesee(layer)) {
    const LayerWeights& weights = weights_.layers[later];
    foreseen_.resize(queries_.size());
    Normalise(weights.attention_norm, tokens);
    attention_->ProjectQueries(weights, tokens, rope_, normed_, absl::MakeSpan(foreseen_));
    PB_RETURN_IF_ERROR(ToAbslStatus(shard->ForeseeQueries(layer, later, foreseen_)));
  }
  return ToAbslStatus(shard->RecallLayer(layer));
}

absl::Status ForwardPass::RunMlp(int layer, int tokens) {
  const LayerWeights& weights = weights_.layers[layer];
  Normalise(weights.mlp_norm, tokens);
  mlp_.Run(weights, tokens, normed_, absl::MakeSpan(partial_));
  return AddPartialSums();
}

absl::Status ForwardPass::AddPartialSums() {
  PB_RETURN_IF_ERROR(SumOverRanks(partial_));
  Add(partial_.data(), partial_.size(), hidden_.data());
  return absl::OkStatus();
}

void ForwardPass::Logits(int first, int count, absl::Span<float> logits) {
  const int width = config_.hidden_size;
  normed_.resize(Values(count, width));
  for (int i = 0; i < count; ++i) {
    RmsNorm(hidden_.data() + Values(first + i, width), weights_.final_norm.data(),
            config_.rms_norm_eps, width, normed_.data() + Values(i, width));
  }
  MultiplyTransposed(count, plan_.vocab_local, width, 1.0F, {normed_.data(), width},
                     {weights_.output_embedding().data(), width},
                     {logits.data(), plan_.vocab_local});
}

int ForwardPass::LogitsChunk() const {
  return std::clamp(kLogitsChunkValues / plan_.vocab_local, 1, kMaxLogitsChunk);
}

}  // namespace pinboard::engine
