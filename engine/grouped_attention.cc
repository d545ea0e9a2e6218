// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// MHA, GQA and MQA: Llama, Qwen2.
#include <vector>

#include "engine/attention_block.h"
#include "engine/blas.h"

namespace pinboard::engine {
namespace {

class GroupedAttention final : public AttentionBlock {
 public:
  GroupedAttention(const ModelConfig& config, const RankPlan& plan)
      : heads_(plan.heads), kv_heads_(plan.kv_heads), dim_(config.head_dim), rope_(config.rope) {}

  RopeTable MakeRope() const override { return RopeTable(dim_, rope_, false); }

  void Project(const LayerWeights& weights, int layer, const StepBatch& batch,
               const RopeTable& rope, absl::Span<const float> normed, HostKvCache* cache,
               absl::Span<float> queries) override {
    const int tokens = batch.size();
    const int row = kv_heads_ * dim_;
    keys_.resize(static_cast<std::size_t>(tokens) * row);
    values_.resize(keys_.size());
    ProjectQueries(weights, tokens, rope, normed, queries);
    Apply(weights.grouped.key, tokens, normed.data(), keys_.data());
    Apply(weights.grouped.value, tokens, normed.data(), values_.data());
    for (int token = 0; token < tokens; ++token) {
      rope.Rotate(token, kv_heads_, dim_, keys_.data() + static_cast<std::size_t>(token) * row);
    }
    for (const BatchEntry& entry : batch.entries) {
      const std::size_t first = static_cast<std::size_t>(entry.first_token) * row;
      const std::size_t count = static_cast<std::size_t>(entry.tokens) * row;
      const BatchTable& table = entry.table(layer);
      cache->WriteRows(layer, table.blocks, table.resident_rows, entry.tokens,
                       absl::MakeConstSpan(keys_).subspan(first, count),
                       absl::MakeConstSpan(values_).subspan(first, count));
    }
  }

  void ProjectQueries(const LayerWeights& weights, int tokens, const RopeTable& rope,
                      absl::Span<const float> normed, absl::Span<float> queries) override {
    Apply(weights.grouped.query, tokens, normed.data(), queries.data());
    for (int token = 0; token < tokens; ++token) {
      rope.Rotate(token, heads_, dim_,
                  queries.data() + static_cast<std::size_t>(token) * heads_ * dim_);
    }
  }

  void Combine(const LayerWeights& weights, int tokens, absl::Span<const float> context,
               absl::Span<float> out) override {
    Apply(weights.grouped.output, tokens, context.data(), out.data());
  }

 private:
  int heads_;
  int kv_heads_;
  int dim_;
  RopeConfig rope_;
  std::vector<float> keys_, values_;  // [tokens, kv_heads, dim]
};

}  // namespace

std::unique_ptr<AttentionBlock> MakeGroupedAttention(const ModelConfig& config,
                                                     const RankPlan& plan) {
  return std::make_unique<GroupedAttention>(config, plan);
}

}  // namespace pinboard::engine
