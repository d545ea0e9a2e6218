// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The forward pass in host memory, through OpenBLAS: the specification of every other.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/attention_block.h"
#include "engine/forward_pass.h"
#include "engine/host_kv_cache.h"
#include "engine/mlp_block.h"
#include "engine/paged_attention.h"
#include "engine/safetensors.h"
#include "transport/collective/communicator.h"

namespace pinboard::engine {

/// Weights and activations are float.
class CpuForwardPass final : public ForwardPass {
 public:
  /// Reads this rank's weights, or draws them: then there is no checkpoint. `communicator` outlives
  /// this. Errors are HostKvCache::Create's and
  /// Checkpoint::Read's.
  static absl::StatusOr<std::unique_ptr<ForwardPass>> Load(const ForwardPassOptions& options,
                                                           const Checkpoint* checkpoint,
                                                           transport::Communicator* communicator);

  KvCache& cache() override { return *cache_; }
  void* stream() const override { return nullptr; }
  absl::StatusOr<absl::Span<const float>> Logits(int first, int count) override;
  absl::Status CopyLogits(int row, absl::Span<float> out) override;
  absl::Status FindBest(absl::Span<const int> rows, absl::Span<BestLogit> best) override;
  int LogitsChunk() const override;

 private:
  CpuForwardPass(const ForwardPassOptions& options, ModelWeights weights,
                 std::unique_ptr<HostKvCache> cache, transport::Communicator* communicator);

  absl::Status Begin(const StepBatch& batch) override;
  absl::Status Stretch(int /*index*/, Work work) override { return work(); }
  absl::Status Embed(const StepBatch& batch) override;
  absl::Status Project(int layer, const StepBatch& batch) override;
  absl::Span<const float> queries() const override { return queries_; }
  absl::Span<const float> log_sum_exps() const override { return log_sum_exps_; }
  absl::StatusOr<absl::Span<const float>> Foresee(int later, const StepBatch& batch) override;
  absl::Status Attend(int layer, const StepBatch& batch) override;
  absl::Status RunMlp(int layer, const StepBatch& batch) override;
  absl::Status AwaitRanks() override { return absl::OkStatus(); }
  absl::Span<const float> hidden() const override { return hidden_; }

  /// [collective] A group of one has nothing to sum.
  absl::Status SumOverRanks(std::vector<float>& values);
  /// hidden_ += sum over ranks of partial_
  absl::Status AddPartialSums();
  /// normed_ = of hidden_'s rows first ... first + count - 1
  void Normalise(const std::vector<float>& weight, int first, int count);

  ModelWeights weights_;
  std::unique_ptr<HostKvCache> cache_;
  transport::Communicator* communicator_;
  std::unique_ptr<AttentionBlock> attention_;
  MlpBlock mlp_;
  RopeTable rope_;
  PagedAttention paged_attention_;
  // [tokens, ...] of the step
  std::vector<float> hidden_, normed_, partial_, queries_, foreseen_, context_, log_sum_exps_;
  std::vector<float> logits_;  // [count, vocab_local]
};

}  // namespace pinboard::engine
