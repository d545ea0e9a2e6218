// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/rounds.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "shard/block_tables.h"
#include "shard/round_apply.h"
#include "shard/round_counts.h"
#include "shard/round_export.h"
#include "shard/round_vote.h"

namespace pinboard {
namespace {

/// Adds the time of its life to a sum.
class StageTime {
 public:
  explicit StageTime(std::uint64_t* sum_ns) : sum_ns_(sum_ns) {}
  ~StageTime() {
    *sum_ns_ += static_cast<std::uint64_t>(absl::ToInt64Nanoseconds(SteadyNow() - start_));
  }
  StageTime(const StageTime&) = delete;
  StageTime& operator=(const StageTime&) = delete;

 private:
  std::uint64_t* sum_ns_;
  const absl::Time start_ = SteadyNow();
};

}  // namespace

std::vector<std::uint64_t> Rounds::Due(int used_blocks, int total_blocks) const {
  std::vector<std::uint64_t> due;
  for (const auto& [id, state] : context_->sequences) {
    if (state.policy.keeps_all() || state.in_round) continue;
    if (scheduler::IsDue(state.trigger, {.length = state.length,
                                         .length_at_round = state.length_at_round,
                                         .prompt_tokens = state.prompt_tokens,
                                         .used_blocks = used_blocks,
                                         .total_blocks = total_blocks})) {
      due.push_back(id);
    }
  }
  std::sort(due.begin(), due.end());
  return due;
}

std::vector<int> Rounds::PlannedRows(std::uint64_t sequence) const {
  const auto found = context_->sequences.find(sequence);
  if (found == context_->sequences.end() || found->second.observe) return {};
  std::vector<int> rows = RowsAfterRound(found->second, context_->options.model.block_size);
  if (!rows.empty() && !context_->options.model.layer_tables) return {rows.front()};
  return rows;
}

absl::Status Rounds::Begin(std::span<const Shard::RoundEntry> entries) {
  PB_RETURN_IF_ERROR(CheckBegin(entries));
  std::vector<Recall::Rings> rings;
  for (const Shard::RoundEntry& entry : entries) {
    rings.push_back({entry.sequence, &context_->sequences.at(entry.sequence), &entry.block_tables});
  }
  const StageTime time(&context_->stats.round_plan_ns);
  recall_->DecideAll();
  PB_RETURN_IF_ERROR(recall_->MakeVisible(rings));
  PB_ASSIGN_OR_RETURN(round_, PlanRound(*context_, ++round_number_, entries));
  for (const Shard::RoundEntry& entry : entries) {
    context_->sequences.at(entry.sequence).in_round = true;
  }
  return absl::OkStatus();
}

absl::Status Rounds::CheckBegin(std::span<const Shard::RoundEntry> entries) const {
  if (round_.has_value()) {
    return absl::FailedPreconditionError("a round is under way: commit it first");
  }
  absl::flat_hash_set<std::uint64_t> named;
  for (const Shard::RoundEntry& entry : entries) {
    if (!context_->sequences.contains(entry.sequence)) {
      return absl::NotFoundError("a round names a sequence that was never added");
    }
    if (!named.insert(entry.sequence).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("a round names sequence ", entry.sequence, " twice"));
    }
    PB_RETURN_IF_ERROR(CheckTables(context_->options.model, entry));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<RoundOutcome>> Rounds::Commit(
    std::span<const Shard::RoundEntry> entries) {
  if (!round_.has_value()) {
    return absl::FailedPreconditionError("CommitRound without a BeginRound");
  }
  recall_->DecideAll();
  const absl::Cleanup end = [this] { End(); };
  const absl::Status fits = CheckCommit(entries);
  if (!fits.ok()) round_->NotReady(fits);  // the others wait for this rank's vote all the same
  std::vector<PreparedSequence> prepared = Prepare(entries);
  PB_ASSIGN_OR_RETURN(const std::string kept_all_because, Agree());
  std::vector<RoundOutcome> outcomes;
  for (const SequencePlan& plan : round_->sequences) {
    outcomes.push_back(Judge(plan, kept_all_because));
  }
  PB_RETURN_IF_ERROR(fits);
  PB_RETURN_IF_ERROR(Apply(entries, absl::MakeSpan(prepared), absl::MakeSpan(outcomes)));
  for (std::size_t i = 0; i < entries.size(); ++i) Report(entries[i], &outcomes[i]);
  return outcomes;
}

absl::Status Rounds::CheckCommit(std::span<const Shard::RoundEntry> entries) const {
  const auto same = [](const SequencePlan& plan, const Shard::RoundEntry& entry) {
    return plan.sequence == entry.sequence;
  };
  if (!std::equal(round_->sequences.begin(), round_->sequences.end(), entries.begin(),
                  entries.end(), same)) {
    return absl::FailedPreconditionError(
        "CommitRound of other sequences than BeginRound's, or in another order");
  }
  for (const Shard::RoundEntry& entry : entries) {
    PB_RETURN_IF_ERROR(CheckTables(context_->options.model, entry));
  }
  return absl::OkStatus();
}

std::vector<PreparedSequence> Rounds::Prepare(std::span<const Shard::RoundEntry> entries) {
  const StageTime time(&context_->stats.round_prepare_ns);
  if (!round_->ready) return {};
  auto prepared = PrepareRound(*context_, *round_, entries);
  if (prepared.ok()) return *std::move(prepared);
  round_->NotReady(prepared.status());
  return {};
}

absl::StatusOr<std::string> Rounds::Agree() {
  const StageTime time(&context_->stats.round_vote_ns);
  PB_ASSIGN_OR_RETURN(const Verdict verdict,
                      VoteOnRound(*context_, round_->ready, round_->plan_hash));
  ++context_->stats.rounds;
  if (verdict.all_ready && verdict.plans_equal) return std::string();
  ++context_->stats.rounds_kept_all;
  if (!round_->ready) return round_->not_ready_because;
  if (!verdict.all_ready) return std::string("another rank was not ready");
  ++context_->stats.keepset_mismatches;
  return std::string("the ranks' plans differ");
}

RoundOutcome Rounds::Judge(const SequencePlan& plan, const std::string& kept_all_because) {
  SequenceState& state = context_->sequences.at(plan.sequence);
  state.length_at_round = plan.length;
  if (plan.keep_all) ++context_->stats.rounds_without_blocks;
  RoundOutcome outcome;
  outcome.sequence = plan.sequence;
  outcome.plan_hash = round_->plan_hash;
  outcome.kept_all_because = kept_all_because;
  if (kept_all_because.empty() && plan.layers.empty()) {
    outcome.kept_all_because =
        plan.keep_all ? "no blocks are free for rows that are shared" : "nothing to gain";
  } else if (kept_all_because.empty()) {
    if (context_->options.export_plans) outcome.plan = ExportPlan(state, plan);
    if (state.observe) outcome.kept_all_because = "only observed";
  }
  return outcome;
}

absl::Status Rounds::Apply(std::span<const Shard::RoundEntry> entries,
                           absl::Span<PreparedSequence> prepared,
                           absl::Span<RoundOutcome> outcomes) {
  const StageTime time(&context_->stats.round_apply_ns);
  std::vector<AgreedSequence> agreed;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!outcomes[i].kept_all_because.empty()) continue;
    agreed.push_back(
        {&round_->sequences[i], std::move(prepared[i]), TablesOfRound(entries[i]), &outcomes[i]});
  }
  return agreed.empty() ? absl::OkStatus() : ApplyRound(*context_, absl::MakeSpan(agreed));
}

void Rounds::Report(const Shard::RoundEntry& entry, RoundOutcome* outcome) const {
  ShardStats& stats = context_->stats;
  stats.rows_kept += static_cast<std::uint64_t>(outcome->kept);
  stats.rows_in_rings += static_cast<std::uint64_t>(outcome->ring);
  stats.rows_offloaded += static_cast<std::uint64_t>(outcome->borderline);
  stats.rows_dropped += static_cast<std::uint64_t>(outcome->dropped);
  const SequenceState& state = context_->sequences.at(entry.sequence);
  const int block_size = context_->options.model.block_size;
  for (std::size_t table = 0; table < entry.block_tables.size(); ++table) {
    const int rows = state.layers[table].rows();
    outcome->rows.push_back(rows);
    outcome->blocks.push_back(BlocksFor(rows, block_size));
  }
}

void Rounds::End() {
  for (const SequencePlan& plan : round_->sequences) {
    context_->sequences.at(plan.sequence).in_round = false;
  }
  round_.reset();
}

}  // namespace pinboard
