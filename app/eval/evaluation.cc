// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/eval/evaluation.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

#include "absl/time/clock.h"
#include "app/eval/rank_totals.h"
#include "base/status_macros.h"
#include "engine/scoring.h"

namespace pinboard::app {
namespace {

int Blocks(std::size_t rows, int block_size) {
  return static_cast<int>((rows + block_size - 1) / block_size);
}

/// For a sequence that is never compressed: `window` recent queries are remembered for its forks.
SequenceOptions NeverCompressed(int window) {
  SequenceOptions options;
  options.policy = "full";
  options.window = window;
  return options;
}

int WidestWindow(absl::Span<const Arm> arms) {
  int widest = 1;
  for (const Arm& arm : arms) widest = std::max(widest, arm.options.window);
  return widest;
}

std::int64_t Grown(std::uint64_t after, std::uint64_t before) {
  return static_cast<std::int64_t>(after - before);
}

/// Counters that are the same on every rank.
void AddGroupCounters(const ShardStats& before, const ShardStats& after, ArmResult* result) {
  result->rounds_kept_all += Grown(after.rounds_kept_all, before.rounds_kept_all);
  result->keepset_mismatches += Grown(after.keepset_mismatches, before.keepset_mismatches);
  result->pages_recalled += Grown(after.pages_recalled, before.pages_recalled);
  result->misses += Grown(after.misses, before.misses);
  result->recall_lag_steps += Grown(after.recall_lag_steps, before.recall_lag_steps);
  result->ring_pages_seen += Grown(after.ring_pages_seen, before.ring_pages_seen);
  result->tokens_without_information +=
      Grown(after.tokens_without_information, before.tokens_without_information);
}

}  // namespace

int CacheBlocksNeeded(absl::Span<const SuiteItem> items, int block_size) {
  int most = 0;
  for (const SuiteItem& item : items) {
    const std::size_t context = item.context.size();
    int blocks = 2 * Blocks(context, block_size);  // the root and the arm
    blocks += Blocks(context + item.continuation.size(), block_size);
    for (const Question& question : item.questions) {
      blocks += Blocks(context + question.prompt.size() + question.answer.size(), block_size);
    }
    most = std::max(most, blocks);
  }
  return most;
}

Evaluation::Evaluation(RankSession* session, std::vector<Arm> arms, Progress progress)
    : session_(session),
      arms_(std::move(arms)),
      progress_(std::move(progress)),
      kv_shards_(session->rank().tp / session->engine().MakeShardModel().kv_replicas),
      results_(arms_.size()) {}

absl::Status Evaluation::Measure(const SuiteItem& item) {
  engine::Engine& engine = session_->engine();
  const std::uint64_t root = session_->NewSequence();
  const absl::Time start = absl::Now();
  PB_RETURN_IF_ERROR(engine.AddSequence(root, NeverCompressed(WidestWindow(arms_))));
  PB_RETURN_IF_ERROR(session_->Prefill(root, item.context).status());
  PB_RETURN_IF_ERROR(MeasureReference(root, item));
  prefill_seconds_ += absl::ToDoubleSeconds(absl::Now() - start);
  for (std::size_t i = 0; i < arms_.size(); ++i) {
    PB_RETURN_IF_ERROR(MeasureArm(root, item, arms_[i], &results_[i]));
    progress_(arms_[i], results_[i]);
  }
  return engine.Remove(root);
}

absl::Status Evaluation::MeasureReference(std::uint64_t root, const SuiteItem& item) {
  reference_.clear();
  if (item.continuation.empty()) return absl::OkStatus();
  TokenScript script;
  script.sequence = session_->NewSequence();
  script.forced = item.continuation;
  script.keep_logits = true;
  PB_RETURN_IF_ERROR(session_->engine().Fork(root, script.sequence, NeverCompressed(1)));
  PB_RETURN_IF_ERROR(RunScripts(*session_, absl::MakeSpan(&script, 1), Feeding::kWhole));
  reference_ = std::move(script.logits);
  return session_->engine().Remove(script.sequence);
}

absl::Status Evaluation::MeasureArm(std::uint64_t root, const SuiteItem& item, const Arm& arm,
                                    ArmResult* result) {
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
  PB_RETURN_IF_ERROR(Answer(sequence, item, arm, feeding, result));
  PB_RETURN_IF_ERROR(engine.Remove(sequence));
  PB_RETURN_IF_ERROR(AddRankTotals(before, compressed, resident_bytes, result));
  ++result->contexts;
  result->context_tokens += static_cast<std::int64_t>(item.context.size());
  result->seconds += absl::ToDoubleSeconds(absl::Now() - start);
  return absl::OkStatus();
}

/// A sequence that keeps everything has an outcome too.
absl::StatusOr<RoundOutcome> Evaluation::Compress(std::uint64_t sequence, const Arm& arm) {
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

absl::StatusOr<std::vector<TokenScript>> Evaluation::ForkScripts(std::uint64_t from,
                                                                 const SuiteItem& item) {
  std::vector<TokenScript> scripts;
  for (const Question& question : item.questions) {
    TokenScript& script = scripts.emplace_back();
    script.forced = question.prompt;
    script.generate = static_cast<int>(question.answer.size());
  }
  if (!item.continuation.empty()) {
    TokenScript& script = scripts.emplace_back();
    script.forced = item.continuation;
    script.keep_logits = true;
  }
  for (TokenScript& script : scripts) {
    script.sequence = session_->NewSequence();
    PB_RETURN_IF_ERROR(session_->engine().Fork(from, script.sequence, NeverCompressed(1)));
  }
  return scripts;
}

absl::Status Evaluation::Answer(std::uint64_t sequence, const SuiteItem& item, const Arm& arm,
                                Feeding feeding, ArmResult* result) {
  PB_ASSIGN_OR_RETURN(std::vector<TokenScript> scripts, ForkScripts(sequence, item));
  const std::int64_t steps = session_->steps();
  const std::uint64_t collectives = session_->shard().stats().collectives;
  PB_RETURN_IF_ERROR(RunScripts(*session_, absl::MakeSpan(scripts), feeding));
  result->steps += session_->steps() - steps;
  result->step_collectives += Grown(session_->shard().stats().collectives, collectives);
  for (std::size_t q = 0; q < item.questions.size(); ++q) {
    ++result->questions;
    result->correct += scripts[q].generated == item.questions[q].answer ? 1 : 0;
  }
  for (const TokenScript& script : scripts) {
    PB_RETURN_IF_ERROR(session_->engine().Remove(script.sequence));
  }
  if (item.continuation.empty()) return absl::OkStatus();
  return ScoreContinuation(item, arm.keeps_all ? reference_ : scripts.back().logits, result);
}

absl::Status Evaluation::ScoreContinuation(const SuiteItem& item, const std::vector<float>& logits,
                                           ArmResult* result) {
  const engine::VocabularyShard shard{session_->engine().vocab_begin(),
                                      session_->engine().vocab_local(),
                                      session_->rank().communicator, session_->Deadline()};
  PB_ASSIGN_OR_RETURN(const std::vector<double> kl, engine::TokenKl(shard, reference_, logits));
  result->kl_sum += std::accumulate(kl.begin(), kl.end(), 0.0);
  result->kl_tokens += static_cast<std::int64_t>(kl.size());
  const auto targets = absl::MakeConstSpan(item.continuation).subspan(1);
  if (targets.empty()) return absl::OkStatus();
  const auto predicting = absl::MakeConstSpan(logits).first(targets.size() * shard.local);
  PB_ASSIGN_OR_RETURN(const std::vector<double> nll, engine::TokenNll(shard, predicting, targets));
  result->nll_sum += std::accumulate(nll.begin(), nll.end(), 0.0);
  result->nll_tokens += static_cast<std::int64_t>(nll.size());
  return absl::OkStatus();
}

absl::Status Evaluation::AddRankTotals(const ShardStats& before, const ShardStats& compressed,
                                       std::size_t resident_bytes, ArmResult* result) {
  const ShardStats after = session_->shard().stats();
  AddGroupCounters(before, after, result);
  RankTotals own;
  own.resident_kv_bytes = static_cast<std::int64_t>(resident_bytes);
  own.digest_bytes = static_cast<std::int64_t>(compressed.digest_bytes);
  own.workspace_bytes = static_cast<std::int64_t>(compressed.workspace_bytes);
  own.pages_offloaded = Grown(after.pages_offloaded, before.pages_offloaded);
  own.bytes_offloaded = Grown(after.bytes_offloaded, before.bytes_offloaded);
  own.bytes_recalled = Grown(after.bytes_recalled, before.bytes_recalled);
  own.waits = Grown(after.waits, before.waits);
  PB_ASSIGN_OR_RETURN(const RankTotals all,
                      GatherTotals(*session_->rank().communicator, own, session_->Deadline()));
  result->resident_kv_bytes += all.resident_kv_bytes;
  result->digest_bytes += all.digest_bytes;
  result->workspace_bytes += all.workspace_bytes;
  result->pages_offloaded += all.pages_offloaded / kv_shards_;
  result->bytes_offloaded += all.bytes_offloaded;
  result->bytes_recalled += all.bytes_recalled;
  result->waits += all.waits;
  return absl::OkStatus();
}

}  // namespace pinboard::app
