// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The Shard: wires recorder, recall and rounds to the calls of an engine.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "pinboard/shard.h"
#include "shard/context.h"
#include "shard/page_fetcher.h"
#include "shard/quality_signal.h"
#include "shard/recall.h"
#include "shard/recall_within_step.h"
#include "shard/rounds.h"
#include "shard/step_recorder.h"
#include "shard/token_exchange.h"

namespace pinboard {

class ShardRuntime final : public Shard {
 public:
  explicit ShardRuntime(ShardContext context);

  Status AddSequence(std::uint64_t sequence, const SequenceOptions& options) override;
  Status ForkSequence(std::uint64_t from, std::uint64_t to, int tokens,
                      const SequenceOptions& options) override;
  Status RemoveSequence(std::uint64_t sequence) override;
  int Rows(std::uint64_t sequence, int layer) const override;
  int RingRows(std::uint64_t sequence, int layer) const override;
  int Length(std::uint64_t sequence) const override;
  std::vector<std::int32_t> RowPositions(std::uint64_t sequence, int layer) const override;

  Status BeginStep(std::span<const StepEntry> entries) override;
  Status ObserveQueries(int layer, std::span<const float> queries) override;
  std::vector<int> LayersToForesee(int layer) const override;
  Status ForeseeQueries(int layer, int later_layer, std::span<const float> queries) override;
  Status RecallLayer(int layer) override;
  Status ObserveLogSumExps(int layer, std::span<const float> log_sum_exps) override;
  Status ObserveHidden(int layer, std::span<const float> hidden) override;
  Status ExchangeScores() override;
  Status ObserveLogits(int first_token, int tokens, std::span<const float> logits) override;
  Result<std::vector<StepEntryResult>> EndStep() override;

  std::vector<std::uint64_t> DueForRound(int used_blocks, int total_blocks) const override;
  std::vector<int> PlannedRows(std::uint64_t sequence) const override;
  Status BeginRound(std::span<const RoundEntry> entries) override;
  Result<std::vector<RoundOutcome>> CommitRound(std::span<const RoundEntry> entries) override;

  ShardStats stats() const override;

 private:
  absl::StatusOr<std::vector<StepEntryResult>> FinishStep();
  void NoteWorkspace();

  ShardContext context_;
  StepRecorder recorder_;
  bool results_due_ = false;  // of a step
  TokenExchange exchange_;
  PageFetcher fetcher_;
  Recall recall_;
  RecallWithinStep recall_within_step_;
  QualitySignal quality_;
  Rounds rounds_;
  std::uint32_t generations_ = 0;
};

}  // namespace pinboard
