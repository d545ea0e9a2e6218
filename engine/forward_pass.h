// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The model itself: tokens in, hidden states and logits out.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/kv_cache.h"
#include "engine/model_config.h"
#include "engine/rank_plan.h"
#include "engine/step_batch.h"
#include "pinboard/shard.h"

namespace pinboard::engine {

struct ForwardPassOptions {
  ModelConfig config;
  RankPlan plan;
  KvCacheOptions cache;
  absl::Duration collective_deadline;
  /// Weights are drawn from this seed (engine/random_weights.h) instead of read.
  std::optional<std::uint64_t> random_weights;
  bool step_graphs = true;  // EngineOptions
};

/// The best token of a row of logits.
struct BestLogit {
  int column = 0;  // the first with the highest logit
  float logit = 0.0F;
};

/// One rank's layers over its cache. This class has what is the same for every backend: the order
/// of a step, and what the shard is told when. A backend has the rest, and the memory: spans that
/// are not said to be host memory are the backend's (pinboard/backend.h). Collectives of a Run: one
/// sum for the embedding, two per layer. Scratch grows with the largest step. Thread-compatible.
class ForwardPass {
 public:
  virtual ~ForwardPass() = default;
  ForwardPass(const ForwardPass&) = delete;
  ForwardPass& operator=(const ForwardPass&) = delete;

  virtual KvCache& cache() = 0;
  /// What orders the backend's work: CUDA's stream; null where every call is complete on return.
  virtual void* stream() const = 0;

  /// [collective] Runs the layers over the batch, writes its rows into the cache, and leaves the
  /// final hidden states for Logits(). Tells `shard` (may be null) of queries and hidden states.
  absl::Status Run(const StepBatch& batch, Shard* shard);

  /// [count, vocab_local] of the last Run's tokens first ... first + count - 1; valid until the
  /// next call.
  virtual absl::StatusOr<absl::Span<const float>> Logits(int first, int count) = 0;
  /// Rows row ... of the last Logits to host memory, as many as `out` holds; complete on return.
  virtual absl::Status CopyLogits(int row, absl::Span<float> out) = 0;
  /// The best of each of these rows of the last Logits, in host memory; complete on return.
  virtual absl::Status FindBest(absl::Span<const int> rows, absl::Span<BestLogit> best) = 0;

  /// The tokens whose logits to ask for at once.
  virtual int LogitsChunk() const = 0;

  /// EngineStats.
  virtual std::int64_t graphs_launched() const { return 0; }

 protected:
  explicit ForwardPass(const ForwardPassOptions& options) : options_(options) {}

  const ModelConfig& config() const { return options_.config; }
  const RankPlan& plan() const { return options_.plan; }
  absl::Duration collective_deadline() const { return options_.collective_deadline; }

  /// Opens the step.
  virtual absl::Status Begin(const StepBatch& batch) = 0;
  /// Does `work`, stretch `index` of the step, counted from 0: between two stretches the shard is
  /// called. A backend may know how a stretch is done from an earlier step.
  using Work = absl::FunctionRef<absl::Status()>;
  virtual absl::Status Stretch(int index, Work work) = 0;

  // In a stretch.
  /// [collective] hidden [tokens, hidden_size] is the embedding of the step's tokens.
  virtual absl::Status Embed(const StepBatch& batch) = 0;
  /// The layer's rows into the cache, and its rotated queries.
  virtual absl::Status Project(int layer, const StepBatch& batch) = 0;
  /// [collective] hidden += attention of the projected queries over the cache, through the output
  /// projection.
  virtual absl::Status Attend(int layer, const StepBatch& batch) = 0;
  /// [collective] hidden += MLP of the normalised hidden states.
  virtual absl::Status RunMlp(int layer, const StepBatch& batch) = 0;

  // Between stretches.
  /// [tokens, heads, key_dim] of the last Project.
  virtual absl::Span<const float> queries() const = 0;
  /// [tokens, heads] of the last Attend: ln of each query's sum of exponentials.
  virtual absl::Span<const float> log_sum_exps() const = 0;
  /// The queries of a later layer as the hidden states of now would give them, likewise.
  virtual absl::StatusOr<absl::Span<const float>> Foresee(int later, const StepBatch& batch) = 0;
  /// [collective] Closes the layers: what they launched over the ranks has ended on all of them.
  virtual absl::Status AwaitRanks() = 0;
  /// [tokens, hidden_size] of the step.
  virtual absl::Span<const float> hidden() const = 0;

 private:
  /// Tells the shard of a layer's queries, and of those that later layers are likely to have; what
  /// it recalls for the layer is in the cache afterwards.
  absl::Status ShowQueries(int layer, const StepBatch& batch, Shard* shard);

  ForwardPassOptions options_;
};

}  // namespace pinboard::engine
