// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What differs between attention with grouped KV heads and with a latent: the products around it.
#pragma once

#include <memory>

#include "absl/types/span.h"
#include "engine/host_kv_cache.h"
#include "engine/model_config.h"
#include "engine/rank_plan.h"
#include "engine/rope.h"
#include "engine/step_batch.h"
#include "engine/weights.h"

namespace pinboard::engine {

/// The projections of one family; the attention between them is PagedAttention's. Implementations
/// keep scratch between calls; thread-compatible. All spans: host memory.
class AttentionBlock {
 public:
  virtual ~AttentionBlock() = default;

  /// A table for the rotated values of one head.
  virtual RopeTable MakeRope() const = 0;

  /// From normed [tokens, hidden]: writes the step's rows into the cache and its rotated queries
  /// [tokens, heads, key_dim]; MLA's are absorbed, so that they meet the cached latent directly.
  virtual void Project(const LayerWeights& weights, int layer, const StepBatch& batch,
                       const RopeTable& rope, absl::Span<const float> normed, HostKvCache* cache,
                       absl::Span<float> queries) = 0;

  /// The queries alone: from the normed stream of an earlier layer, those that this one is likely
  /// to have.
  virtual void ProjectQueries(const LayerWeights& weights, int tokens, const RopeTable& rope,
                              absl::Span<const float> normed, absl::Span<float> queries) = 0;

  /// From context [tokens, heads, value_dim]: this rank's part of the sum [tokens, hidden].
  virtual void Combine(const LayerWeights& weights, int tokens, absl::Span<const float> context,
                       absl::Span<float> out) = 0;
};

std::unique_ptr<AttentionBlock> MakeGroupedAttention(const ModelConfig& config,
                                                     const RankPlan& plan);
std::unique_ptr<AttentionBlock> MakeLatentAttention(const ModelConfig& config,
                                                    const RankPlan& plan);

}  // namespace pinboard::engine
