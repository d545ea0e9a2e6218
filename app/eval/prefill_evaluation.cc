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
  return BlocksTogether(items, kContextsTogether, /*copies=*/2, block_size);  // root and arm
}

PrefillEvaluation::PrefillEvaluation(RankSession* session, std::vector<Arm> arms, Progress progress)
    : Evaluation(std::move(arms), std::move(progress)), session_(session), meter_(session) {}

absl::Status PrefillEvaluation::Measure(absl::Span<const SuiteItem> items) {
  const absl::Time start = absl::Now();
  std::vector<Context> contexts;
  for (const SuiteItem& item : items) {
    PB_ASSIGN_OR_RETURN(contexts.emplace_back(), Prefill(item));
  }
  prefill_seconds_ += absl::ToDoubleSeconds(absl::Now() - start);
  for (std::size_t i = 0; i < arms_.size(); ++i) {
    PB_RETURN_IF_ERROR(MeasureArm(absl::MakeSpan(contexts), arms_[i], &results_[i]));
    progress_(arms_[i], results_[i]);
  }
  for (const Context& context : contexts) {
    PB_RETURN_IF_ERROR(session_->engine().Remove(context.root));
  }
  return absl::OkStatus();
}

absl::StatusOr<PrefillEvaluation::Context> PrefillEvaluation::Prefill(const SuiteItem& item) {
  Context context{.item = &item, .root = session_->NewSequence(), .reference = {}};
  PB_RETURN_IF_ERROR(
      session_->engine().AddSequence(context.root, NeverCompressed(WidestWindow(arms_))));
  PB_RETURN_IF_ERROR(session_->Prefill(context.root, item.context).status());
  PB_ASSIGN_OR_RETURN(context.reference, meter_.Reference(context.root, item));
  return context;
}

absl::Status PrefillEvaluation::MeasureArm(absl::Span<Context> contexts, const Arm& arm,
                                           ArmResult* result) {
  engine::Engine& engine = session_->engine();
  const absl::Time start = absl::Now();
  const ShardStats before = session_->shard().stats();
  for (Context& context : contexts) {
    context.kept = session_->NewSequence();
    SequenceOptions options = arm.options;
    options.prompt_tokens = context.item->prompt_tokens;
    PB_RETURN_IF_ERROR(engine.Fork(context.root, context.kept, options));
  }
  PB_ASSIGN_OR_RETURN(const std::vector<RoundOutcome> outcomes, Compress(contexts, arm));
  const ShardStats compressed = session_->shard().stats();
  std::size_t resident_bytes = 0;
  std::vector<Asked> asked;
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    const RoundOutcome& outcome = outcomes[i];
    asked.push_back({.sequence = contexts[i].kept,
                     .item = contexts[i].item,
                     .options = arm.options,
                     .ring_rows = outcome.ring,
                     .keeps_all = arm.keeps_all,
                     .reference = contexts[i].reference,
                     .rounds_ago = {}});
    resident_bytes += engine.ResidentKvBytes(contexts[i].kept);
    result->kept += outcome.kept;
    result->borderline += outcome.borderline;
    result->dropped += outcome.dropped;
    result->ring_rows += outcome.ring / engine.config().layers;
    ++result->contexts;
    result->context_tokens += static_cast<std::int64_t>(contexts[i].item->context.size());
  }
  PB_RETURN_IF_ERROR(meter_.Ask(asked, result));
  for (const Context& context : contexts) PB_RETURN_IF_ERROR(engine.Remove(context.kept));
  PB_RETURN_IF_ERROR(meter_.AddCounters(before, compressed, resident_bytes, result));
  result->seconds += absl::ToDoubleSeconds(absl::Now() - start);
  return absl::OkStatus();
}

/// A sequence that keeps everything has an outcome too.
absl::StatusOr<std::vector<RoundOutcome>> PrefillEvaluation::Compress(
    absl::Span<const Context> contexts, const Arm& arm) {
  engine::Engine& engine = session_->engine();
  std::vector<RoundOutcome> outcomes(contexts.size());
  if (!arm.keeps_all) {
    std::vector<std::uint64_t> sequences;
    for (const Context& context : contexts) sequences.push_back(context.kept);
    PB_ASSIGN_OR_RETURN(outcomes, engine.Compress(sequences));
  }
  for (std::size_t i = 0; i < contexts.size(); ++i) {
    if (outcomes[i].applied) continue;
    outcomes[i].kept = engine.TotalRows(contexts[i].kept);
  }
  return outcomes;
}

}  // namespace pinboard::app
