// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/eval/context_meter.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "app/eval/rank_totals.h"
#include "base/status_macros.h"
#include "engine/scoring.h"
#include "pinboard/kv_layout.h"

namespace pinboard::app {
namespace {

std::int64_t Grown(std::uint64_t after, std::uint64_t before) {
  return static_cast<std::int64_t>(after - before);
}

/// Counters that are the same on every rank.
void AddGroupCounters(const ShardStats& before, const ShardStats& after, ArmResult* result) {
  result->rounds_kept_all += Grown(after.rounds_kept_all, before.rounds_kept_all);
  result->keepset_mismatches += Grown(after.keepset_mismatches, before.keepset_mismatches);
  result->pages_recalled += Grown(after.pages_recalled, before.pages_recalled);
  result->misses += Grown(after.misses, before.misses);
  result->recall_choices += Grown(after.recall_choices, before.recall_choices);
  result->recall_lag_steps += Grown(after.recall_lag_steps, before.recall_lag_steps);
  result->ring_pages_seen += Grown(after.ring_pages_seen, before.ring_pages_seen);
  result->tokens_without_information +=
      Grown(after.tokens_without_information, before.tokens_without_information);
}

int Blocks(std::size_t rows, int block_size) {
  return BlocksFor(static_cast<int>(rows), block_size);
}

int ItemBlocks(const SuiteItem& item, int copies, int block_size) {
  int blocks = copies * Blocks(item.context.size(), block_size) +
               Blocks(item.context.size() + item.continuation.size(), block_size);
  for (const Question& question : item.questions) {
    blocks +=
        Blocks(item.context.size() + question.prompt.size() + question.answer.size(), block_size);
  }
  return blocks;
}

}  // namespace

int BlocksTogether(absl::Span<const SuiteItem> items, int together, int copies, int block_size) {
  std::vector<int> blocks;
  for (const SuiteItem& item : items) blocks.push_back(ItemBlocks(item, copies, block_size));
  std::sort(blocks.rbegin(), blocks.rend());
  blocks.resize(std::min(blocks.size(), static_cast<std::size_t>(together)));
  return std::accumulate(blocks.begin(), blocks.end(), 0);
}

SequenceOptions NeverCompressed(int window) {
  SequenceOptions options;
  options.policy = "full";
  options.window = window;
  return options;
}

SequenceOptions AskedAs(const SequenceOptions& compressed) {
  SequenceOptions options = NeverCompressed(1);
  options.recall_when = compressed.recall_when;
  options.recall_ahead = compressed.recall_ahead;
  return options;
}

int WidestWindow(absl::Span<const Arm> arms) {
  int widest = 1;
  for (const Arm& arm : arms) widest = std::max(widest, arm.query_window);
  return widest;
}

ContextMeter::ContextMeter(RankSession* session)
    : session_(session),
      kv_shards_(session->rank().tp / session->engine().MakeShardModel().kv_replicas) {}

absl::StatusOr<std::vector<float>> ContextMeter::Reference(std::uint64_t root,
                                                           const SuiteItem& item) {
  TokenScript script;
  if (item.continuation.empty()) return script.logits;
  script.sequence = session_->NewSequence();
  script.forced = item.continuation;
  script.keep_logits = true;
  PB_RETURN_IF_ERROR(session_->engine().Fork(root, script.sequence, NeverCompressed(1)));
  PB_RETURN_IF_ERROR(RunScripts(*session_, absl::MakeSpan(&script, 1), Feeding::kWhole));
  PB_RETURN_IF_ERROR(session_->engine().Remove(script.sequence));
  return std::move(script.logits);
}

/// Its questions, then its continuation.
absl::StatusOr<std::vector<TokenScript>> ContextMeter::ForkScripts(const Asked& asked) {
  std::vector<TokenScript> scripts;
  for (const Question& question : asked.item->questions) {
    TokenScript& script = scripts.emplace_back();
    script.forced = question.prompt;
    script.generate = static_cast<int>(question.answer.size());
  }
  if (!asked.item->continuation.empty()) {
    TokenScript& script = scripts.emplace_back();
    script.forced = asked.item->continuation;
    script.keep_logits = true;
  }
  for (TokenScript& script : scripts) {
    script.sequence = session_->NewSequence();
    PB_RETURN_IF_ERROR(
        session_->engine().Fork(asked.sequence, script.sequence, AskedAs(asked.options)));
  }
  return scripts;
}

absl::Status ContextMeter::Ask(absl::Span<const Asked> asked, ArmResult* result) {
  std::vector<TokenScript> scripts;
  std::vector<std::size_t> ends;
  Feeding feeding = Feeding::kWhole;
  for (const Asked& one : asked) {
    PB_ASSIGN_OR_RETURN(auto own, ForkScripts(one));
    std::move(own.begin(), own.end(), std::back_inserter(scripts));
    ends.push_back(scripts.size());
    if (one.ring_rows > 0) feeding = Feeding::kOneTokenAStep;
  }
  const std::int64_t steps = session_->steps();
  const std::uint64_t collectives = session_->shard().stats().collectives;
  PB_RETURN_IF_ERROR(RunScripts(*session_, absl::MakeSpan(scripts), feeding));
  result->steps += session_->steps() - steps;
  result->step_collectives += Grown(session_->shard().stats().collectives, collectives);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const auto own = absl::MakeConstSpan(scripts).subspan(begin, ends[i] - begin);
    PB_RETURN_IF_ERROR(Score(asked[i], own, result));
    begin = ends[i];
  }
  for (const TokenScript& script : scripts) {
    PB_RETURN_IF_ERROR(session_->engine().Remove(script.sequence));
  }
  return absl::OkStatus();
}

absl::Status ContextMeter::Score(const Asked& asked, absl::Span<const TokenScript> scripts,
                                 ArmResult* result) {
  const std::vector<Question>& questions = asked.item->questions;
  if (!questions.empty() && !result->answers.empty()) result->answers += ' ';
  for (std::size_t q = 0; q < questions.size(); ++q) {
    const int correct = scripts[q].generated == questions[q].answer ? 1 : 0;
    ++result->questions;
    result->correct += correct;
    result->answers += correct > 0 ? '1' : '0';
    if (asked.rounds_ago.empty() || !asked.rounds_ago[q].has_value()) continue;
    RoundsAgo& group = result->by_rounds_ago[*asked.rounds_ago[q]];
    ++group.questions;
    group.correct += correct;
  }
  if (asked.item->continuation.empty()) return absl::OkStatus();
  const absl::Span<const float> own = scripts.back().logits;
  return ScoreContinuation(asked, asked.keeps_all ? asked.reference : own, result);
}

absl::Status ContextMeter::ScoreContinuation(const Asked& asked, absl::Span<const float> logits,
                                             ArmResult* result) {
  const engine::VocabularyShard shard{session_->engine().vocab_begin(),
                                      session_->engine().vocab_local(),
                                      session_->rank().communicator, session_->Deadline()};
  PB_ASSIGN_OR_RETURN(const std::vector<double> kl,
                      engine::TokenKl(shard, asked.reference, logits));
  result->kl_sum += std::accumulate(kl.begin(), kl.end(), 0.0);
  result->kl_tokens += static_cast<std::int64_t>(kl.size());
  const auto targets = absl::MakeConstSpan(asked.item->continuation).subspan(1);
  if (targets.empty()) return absl::OkStatus();
  const auto predicting = logits.first(targets.size() * shard.local);
  PB_ASSIGN_OR_RETURN(const std::vector<double> nll, engine::TokenNll(shard, predicting, targets));
  result->nll_sum += std::accumulate(nll.begin(), nll.end(), 0.0);
  result->nll_tokens += static_cast<std::int64_t>(nll.size());
  return absl::OkStatus();
}

absl::Status ContextMeter::AddCounters(const ShardStats& before, const ShardStats& compressed,
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
  own.quality_samples = Grown(after.quality_samples, before.quality_samples);
  own.ring_rows_sampled = Grown(after.ring_rows_sampled, before.ring_rows_sampled);
  own.ring_rows_attended = Grown(after.ring_rows_attended, before.ring_rows_attended);
  own.evicted_attention = after.evicted_attention - before.evicted_attention;
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
  result->quality_samples += all.quality_samples;
  result->ring_rows_sampled += all.ring_rows_sampled;
  result->ring_rows_attended += all.ring_rows_attended;
  result->evicted_attention += all.evicted_attention;
  return absl::OkStatus();
}

}  // namespace pinboard::app
