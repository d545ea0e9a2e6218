// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_forward_pass.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/status_macros.h"
#include "engine/blas.h"
#include "engine/elementwise.h"

namespace pinboard::engine {
namespace {

std::unique_ptr<AttentionBlock> MakeAttention(const ModelConfig& config, const RankPlan& plan) {
  return config.is_mla() ? MakeLatentAttention(config, plan) : MakeGroupedAttention(config, plan);
}

std::size_t Values(int tokens, int width) { return static_cast<std::size_t>(tokens) * width; }

}  // namespace

absl::StatusOr<std::unique_ptr<ForwardPass>> CpuForwardPass::Load(
    const ForwardPassOptions& options, const Checkpoint* checkpoint,
    transport::Communicator* communicator) {
  PB_ASSIGN_OR_RETURN(auto cache, HostKvCache::Create(options.cache));
  PB_ASSIGN_OR_RETURN(ModelWeights weights,
                      options.random_weights.has_value()
                          ? DrawWeights(*options.random_weights, options.config, options.plan)
                          : LoadWeights(*checkpoint, options.config, options.plan));
  SetProductThreads(options.plan.ranks);
  return std::unique_ptr<ForwardPass>(
      new CpuForwardPass(options, std::move(weights), std::move(cache), communicator));
}

CpuForwardPass::CpuForwardPass(const ForwardPassOptions& options, ModelWeights weights,
                               std::unique_ptr<HostKvCache> cache,
                               transport::Communicator* communicator)
    : ForwardPass(options),
      weights_(std::move(weights)),
      cache_(std::move(cache)),
      communicator_(communicator),
      attention_(MakeAttention(options.config, options.plan)),
      mlp_(options.config.moe),
      rope_(attention_->MakeRope()),
      paged_attention_(options.plan.heads, options.config.attention_scale()) {}

absl::Status CpuForwardPass::Begin(const StepBatch& batch) {
  rope_.SetPositions(batch.positions);
  return absl::OkStatus();
}

absl::Status CpuForwardPass::Embed(const StepBatch& batch) {
  const int width = config().hidden_size;
  hidden_.assign(Values(batch.size(), width), 0.0F);
  for (int token = 0; token < batch.size(); ++token) {
    const int row = batch.tokens[token] - plan().vocab_begin;
    if (row < 0 || row >= plan().vocab_local) continue;
    std::copy_n(weights_.embedding.data() + Values(row, width), width,
                hidden_.data() + Values(token, width));
  }
  return SumOverRanks(hidden_);
}

absl::Status CpuForwardPass::SumOverRanks(std::vector<float>& values) {
  if (plan().ranks == 1) return absl::OkStatus();
  return communicator_->SumFloat(absl::MakeSpan(values), SteadyNow() + collective_deadline());
}

void CpuForwardPass::Normalise(const std::vector<float>& weight, int first, int count) {
  const int width = config().hidden_size;
  normed_.resize(Values(count, width));
  for (int i = 0; i < count; ++i) {
    RmsNorm(hidden_.data() + Values(first + i, width), weight.data(), config().rms_norm_eps, width,
            normed_.data() + Values(i, width));
  }
}

absl::Status CpuForwardPass::Project(int layer, const StepBatch& batch) {
  const LayerWeights& weights = weights_.layers[layer];
  queries_.resize(Values(batch.size(), plan().heads * config().key_dim()));
  Normalise(weights.attention_norm, 0, batch.size());
  attention_->Project(weights, layer, batch, rope_, normed_, cache_.get(),
                      absl::MakeSpan(queries_));
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const float>> CpuForwardPass::Foresee(int later, const StepBatch& batch) {
  const LayerWeights& weights = weights_.layers[later];
  foreseen_.resize(queries_.size());
  Normalise(weights.attention_norm, 0, batch.size());
  attention_->ProjectQueries(weights, batch.size(), rope_, normed_, absl::MakeSpan(foreseen_));
  return foreseen_;
}

absl::Status CpuForwardPass::Attend(int layer, const StepBatch& batch) {
  context_.resize(Values(batch.size(), plan().heads * config().value_dim()));
  log_sum_exps_.resize(Values(batch.size(), plan().heads));
  paged_attention_.Run(*cache_, layer, batch, queries_, absl::MakeSpan(context_),
                       absl::MakeSpan(log_sum_exps_));
  partial_.resize(hidden_.size());
  attention_->Combine(weights_.layers[layer], batch.size(), context_, absl::MakeSpan(partial_));
  return AddPartialSums();
}

absl::Status CpuForwardPass::RunMlp(int layer, const StepBatch& batch) {
  const LayerWeights& weights = weights_.layers[layer];
  Normalise(weights.mlp_norm, 0, batch.size());
  mlp_.Run(weights, batch.size(), normed_, absl::MakeSpan(partial_));
  return AddPartialSums();
}

absl::Status CpuForwardPass::AddPartialSums() {
  PB_RETURN_IF_ERROR(SumOverRanks(partial_));
  Add(partial_.data(), partial_.size(), hidden_.data());
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const float>> CpuForwardPass::Logits(int first, int count) {
  const int width = config().hidden_size, columns = plan().vocab_local;
  Normalise(weights_.final_norm, first, count);
  logits_.resize(Values(count, columns));
  MultiplyTransposed(count, columns, width, 1.0F, {normed_.data(), width},
                     {weights_.output_embedding().data(), width}, {logits_.data(), columns});
  return logits_;
}

absl::Status CpuForwardPass::CopyLogits(int row, absl::Span<float> out) {
  std::copy_n(logits_.data() + Values(row, plan().vocab_local), out.size(), out.data());
  return absl::OkStatus();
}

absl::Status CpuForwardPass::FindBest(absl::Span<const int> rows, absl::Span<BestLogit> best) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const float* row = logits_.data() + Values(rows[i], plan().vocab_local);
    const float* highest = std::max_element(row, row + plan().vocab_local);
    best[i] = {static_cast<int>(highest - row), *highest};
  }
  return absl::OkStatus();
}

int CpuForwardPass::LogitsChunk() const {
  constexpr int kValues = 1 << 20;  // a few MiB
  constexpr int kMostTokens = 256;
  return std::clamp(kValues / plan().vocab_local, 1, kMostTokens);
}

}  // namespace pinboard::engine
