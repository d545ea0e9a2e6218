// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The model itself: tokens in, hidden states and logits out.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/attention_block.h"
#include "engine/mlp_block.h"
#include "engine/paged_attention.h"
#include "pinboard/shard.h"
#include "transport/collective/communicator.h"

namespace pinboard::engine {

/// One rank's layers over one cache. Collectives of a Run: one sum for the embedding, two per
/// layer. Scratch grows with the largest step. Thread-compatible.
class ForwardPass {
 public:
  ForwardPass(const ModelConfig& config, const RankPlan& plan, ModelWeights weights,
              transport::Communicator* communicator, absl::Duration deadline);

  KvShape CacheShape(DType dtype) const { return attention_->CacheShape(dtype); }

  /// [collective] Runs the layers over the batch, writes its rows into `cache`, and leaves the
  /// final hidden states for Logits(). Tells `shard` (may be null) of queries and hidden states.
  absl::Status Run(const StepBatch& batch, KvCache* cache, Shard* shard);

  /// logits [count, vocab_local] of the last Run's tokens first ... first + count - 1.
  void Logits(int first, int count, absl::Span<float> logits);

  /// Tokens whose logits fit a few MiB: the chunk in which to ask for many.
  int LogitsChunk() const;

 private:
  absl::Status Embed(const StepBatch& batch);
  absl::Status RunAttention(int layer, const StepBatch& batch, KvCache* cache, Shard* shard);
  /// Tells the shard of a layer's queries, and of those that later layers are likely to have; what
  /// it recalls for the layer is in the cache afterwards.
  absl::Status ShowQueries(int layer, int tokens, Shard* shard);
  absl::Status RunMlp(int layer, int tokens);
  /// hidden_ += sum over ranks of partial_
  /// [collective] A group of one has nothing to sum.
  absl::Status SumOverRanks(std::vector<float>& values);
  absl::Status AddPartialSums();
  void Normalise(const std::vector<float>& weight, int tokens);

  ModelConfig config_;
  RankPlan plan_;
  ModelWeights weights_;
  transport::Communicator* communicator_;
  absl::Duration deadline_;
  std::unique_ptr<AttentionBlock> attention_;
  MlpBlock mlp_;
  RopeTable rope_;
  PagedAttention paged_attention_;
  // [tokens, ...] of the step
  std::vector<float> hidden_, normed_, partial_, queries_, foreseen_, context_;
};

}  // namespace pinboard::engine
