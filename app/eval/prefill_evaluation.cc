// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/eval/prefill_evaluation.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace pinboard::app {

int PrefillEvaluation::CacheBlocksNeeded(absl::Span<const SuiteItem> items, int block_size) {
  int most = 0;
  for (const SuiteItem& item : items) {
    const int root_and_arm = 2 * Blocks(item.context.size(), block_size);
    most = std::max(most, root_and_arm + ForkBlocks(item, block_size));
  }
  return most;
}

PrefillEvaluation::PrefillEvaluation(RankSession* session, std::vector<Arm> arms, Progress progress)
    : Evaluation(std::move(arms), std::move(progress)), session_(session), meter_(session) {}

absl::Status PrefillEvaluation::Measure(absl::Span<const SuiteItem> items) {
  for (const SuiteItem& item : items) PB_RETURN_IF_ERROR(MeasureContext(item));
  return absl::OkStatus();
}

absl::Status PrefillEvaluation::MeasureContext(const SuiteItem& item) {
  engine::Engine& engine = session_->engine();
  const std::uint64_t root = session_->NewSequence();
  const absl::Time start = absl::Now();
  PB_RETURN_IF_ERROR(engine.AddSequence(root, NeverCompressed(WidestWindow(arms_))));
  PB_RETURN_IF_ERROR(session_->Prefill(root, item.context).status());
  PB_ASSIGN_OR_RETURN(reference_, meter_.Reference(root, item));
  prefill_seconds_ += absl::ToDoubleSeconds(absl::Now() - start);
  for (std::size_t i = 0; i < arms_.size(); ++i) {
    PB_RETURN_IF_ERROR(MeasureArm(root, item, arms_[i], &results_[i]));
    progress_(arms_[i], results_[i]);
  }
  return engine.Remove(root);
}

absl::Status PrefillEvaluation::MeasureArm(std::uint64_t root, const SuiteItem& item,
                                           const Arm& arm, ArmResult* result) {
  engine::Engine& engine = session_->engine();
  const absl::Time start = absl::Now();
  const ShardStats before = session_->shard().stats();
  const std::uint64_t sequence = session_->NewSequence();
  SequenceOptions sequence_options = arm.options;
  sequence_options.prompt_tokens = item.prompt_tokens;
  PB_RETURN_IF_ERROR(engine.Fork(root, sequence, sequence_options));
  PB_ASSIGN_OR_RETURN(const RoundOutcome outcome, Compress(sequence, arm));
  const int ring_rows = outcome.rows - static_cast<int>(outcome.kept / engine.config().layers);
  const std::size_t resident_bytes = engine.ResidentKvBytes(sequence);
  const ShardStats compressed = session_->shard().stats();
  result->kept += outcome.kept;
  result->borderline += outcome.borderline;
  result->dropped += outcome.dropped;
  result->ring_rows += ring_rows;

  const Feeding feeding = ring_rows > 0 ? Feeding::kOneTokenAStep : Feeding::kWhole;
  PB_RETURN_IF_ERROR(meter_.Ask(
      sequence, item,
      {.feeding = feeding, .keeps_all = arm.keeps_all, .reference = reference_, .rounds_ago = {}},
      result));
  PB_RETURN_IF_ERROR(engine.Remove(sequence));
  PB_RETURN_IF_ERROR(meter_.AddCounters(before, compressed, resident_bytes, result));
  ++result->contexts;
  result->context_tokens += static_cast<std::int64_t>(item.context.size());
  result->seconds += absl::ToDoubleSeconds(absl::Now() - start);
  return absl::OkStatus();
}

/// A sequence that keeps everything has an outcome too.
absl::StatusOr<RoundOutcome> PrefillEvaluation::Compress(std::uint64_t sequence, const Arm& arm) {
  engine::Engine& engine = session_->engine();
  RoundOutcome outcome;
  if (!arm.keeps_all) {
    PB_ASSIGN_OR_RETURN(auto outcomes, engine.Compress({sequence}));
    outcome = std::move(outcomes.front());
  }
  if (!outcome.applied) {
    outcome.rows = engine.Rows(sequence);
    outcome.kept = std::int64_t{outcome.rows} * engine.config().layers;
  }
  return outcome;
}

}  // namespace pinboard::app
