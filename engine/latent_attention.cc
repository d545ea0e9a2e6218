// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// MLA, absorbed: DeepSeek-V3.
//
// A head's key is [W_uk c | rotary k] and its value W_uv c for the cached latent c. Since
// q . (W_uk c) = (W_uk^T q) . c, queries are taken into the latent's space once, the cache is
// attended as it is, and W_uv is applied to the attended latent.
#include <algorithm>
#include <vector>

#include "engine/attention_block.h"
#include "engine/blas.h"
#include "engine/elementwise.h"

namespace pinboard::engine {
namespace {

/// transformers gives the norms of the latents this epsilon whatever config.json says.
constexpr double kLatentNormEps = 1e-6;

class LatentAttention final : public AttentionBlock {
 public:
  LatentAttention(const ModelConfig& config, const RankPlan& plan)
      : heads_(plan.heads), mla_(config.mla), rope_(config.rope) {}

  RopeTable MakeRope() const override {
    return RopeTable(mla_.qk_rope_head_dim, rope_, mla_.rope_interleave);
  }

  void Project(const LayerWeights& weights, int layer, const StepBatch& batch,
               const RopeTable& rope, absl::Span<const float> normed, HostKvCache* cache,
               absl::Span<float> queries) override {
    ProjectQueries(weights, batch.size(), rope, normed, queries);
    WriteLatents(weights.latent, layer, batch, rope, normed, cache);
  }

  void ProjectQueries(const LayerWeights& weights, int tokens, const RopeTable& rope,
                      absl::Span<const float> normed, absl::Span<float> queries) override {
    ExpandQueries(weights.latent, tokens, normed);
    AbsorbQueries(weights.latent, tokens, rope, queries);
  }

  void Combine(const LayerWeights& weights, int tokens, absl::Span<const float> context,
               absl::Span<float> out) override {
    const int latent = mla_.kv_lora_rank, dim = mla_.v_head_dim;
    values_.resize(static_cast<std::size_t>(tokens) * heads_ * dim);
    for (int head = 0; head < heads_; ++head) {
      const float* up =
          weights.latent.value_up.data() + static_cast<std::size_t>(head) * dim * latent;
      MultiplyTransposed(tokens, dim, latent, 1.0F,
                         {context.data() + head * latent, heads_ * latent}, {up, latent},
                         {values_.data() + head * dim, heads_ * dim});
    }
    Apply(weights.latent.output, tokens, values_.data(), out.data());
  }

 private:
  int key_dim() const { return mla_.kv_lora_rank + mla_.qk_rope_head_dim; }
  int query_dim() const { return mla_.qk_nope_head_dim + mla_.qk_rope_head_dim; }

  /// queries_ [tokens, heads, nope + rope].
  void ExpandQueries(const LatentAttentionWeights& weights, int tokens,
                     absl::Span<const float> normed) {
    queries_.resize(static_cast<std::size_t>(tokens) * heads_ * query_dim());
    if (weights.query_down.out == 0) {
      Apply(weights.query, tokens, normed.data(), queries_.data());
      return;
    }
    const int rank = mla_.q_lora_rank;
    query_latents_.resize(static_cast<std::size_t>(tokens) * rank);
    Apply(weights.query_down, tokens, normed.data(), query_latents_.data());
    for (int token = 0; token < tokens; ++token) {
      float* row = query_latents_.data() + static_cast<std::size_t>(token) * rank;
      RmsNorm(row, weights.query_norm.data(), kLatentNormEps, rank, row);
    }
    Apply(weights.query, tokens, query_latents_.data(), queries_.data());
  }

  /// queries [tokens, heads, latent + rope] from queries_ [tokens, heads, nope + rope].
  void AbsorbQueries(const LatentAttentionWeights& weights, int tokens, const RopeTable& rope,
                     absl::Span<float> queries) {
    const int latent = mla_.kv_lora_rank, nope = mla_.qk_nope_head_dim;
    for (int head = 0; head < heads_; ++head) {
      const float* up = weights.key_up.data() + static_cast<std::size_t>(head) * nope * latent;
      Multiply(tokens, latent, nope, {queries_.data() + head * query_dim(), heads_ * query_dim()},
               {up, latent}, {queries.data() + head * key_dim(), heads_ * key_dim()});
    }
    for (int token = 0; token < tokens; ++token) {
      const std::size_t first = static_cast<std::size_t>(token) * heads_;
      for (int head = 0; head < heads_; ++head) {
        std::copy_n(queries_.data() + (first + head) * query_dim() + nope, mla_.qk_rope_head_dim,
                    queries.data() + (first + head) * key_dim() + latent);
      }
      rope.Rotate(token, heads_, key_dim(), queries.data() + first * key_dim() + latent);
    }
  }

  void WriteLatents(const LatentAttentionWeights& weights, int layer, const StepBatch& batch,
                    const RopeTable& rope, absl::Span<const float> normed, HostKvCache* cache) {
    const int latent = mla_.kv_lora_rank;
    latents_.resize(static_cast<std::size_t>(batch.size()) * key_dim());
    Apply(weights.latent, batch.size(), normed.data(), latents_.data());
    for (int token = 0; token < batch.size(); ++token) {
      float* row = latents_.data() + static_cast<std::size_t>(token) * key_dim();
      RmsNorm(row, weights.latent_norm.data(), kLatentNormEps, latent, row);
      rope.Rotate(token, 1, key_dim(), row + latent);
    }
    for (const BatchEntry& entry : batch.entries) {
      const BatchTable& table = entry.table(layer);
      cache->WriteRows(layer, table.blocks, table.resident_rows, entry.tokens,
                       absl::MakeConstSpan(latents_).subspan(
                           static_cast<std::size_t>(entry.first_token) * key_dim(),
                           static_cast<std::size_t>(entry.tokens) * key_dim()),
                       {});
    }
  }

  int heads_;
  MlaConfig mla_;
  RopeConfig rope_;
  std::vector<float> query_latents_, queries_, latents_, values_;  // [tokens, ...]
};

}  // namespace

std::unique_ptr<AttentionBlock> MakeLatentAttention(const ModelConfig& config,
                                                    const RankPlan& plan) {
  return std::make_unique<LatentAttention>(config, plan);
}

}  // namespace pinboard::engine
