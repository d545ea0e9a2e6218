// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/round_runner.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/public_status.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

BlockTables TablesOf(const SequenceState& state) {
  BlockTables tables;
  for (const RowTable& table : state.tables) tables.emplace_back(table.blocks);
  return tables;
}

/// Empty: its rows stay in place.
BlockTables DestinationsOf(const SequenceState& state) {
  if (std::all_of(state.tables.begin(), state.tables.end(),
                  [](const RowTable& table) { return table.destination.empty(); })) {
    return {};
  }
  BlockTables tables;
  for (const RowTable& table : state.tables) tables.emplace_back(table.destination);
  return tables;
}

absl::Status CheckOutcome(const RoundOutcome& outcome, const SequenceState& state,
                          const SequenceTable& sequences) {
  if (outcome.rows.size() != state.tables.size() || outcome.blocks.size() != state.tables.size()) {
    return absl::InternalError(absl::StrCat("sequence ", outcome.sequence,
                                            ": a round knows another number of block tables"));
  }
  for (std::size_t i = 0; i < state.tables.size(); ++i) {
    const RowTable& table = state.tables[i];
    if (outcome.rows[i] > table.rows || outcome.blocks[i] < sequences.BlocksFor(outcome.rows[i])) {
      return absl::InternalError(absl::StrCat("sequence ", outcome.sequence, ": a round left ",
                                              outcome.rows[i], " rows in ", outcome.blocks[i],
                                              " blocks of ", table.rows, " rows"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RoundRunner::Begin(absl::Span<const std::uint64_t> ids, Shard* shard) {
  PB_ASSIGN_OR_RETURN(auto entries, Entries(ids, shard));
  for (const std::uint64_t sequence : ids) {
    PB_RETURN_IF_ERROR(CheckAtRest(sequence, *sequences_->Peek(sequence)));
  }
  Reserve(*shard, absl::MakeSpan(entries));
  if (absl::Status begun = ToAbslStatus(shard->BeginRound(entries)); !begun.ok()) {
    Unreserve(ids);
    return begun;
  }
  for (const std::uint64_t sequence : ids) {
    PB_ASSIGN_OR_RETURN(SequenceState * state, sequences_->Find(sequence));
    state->in_round = true;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<RoundOutcome>> RoundRunner::Commit(absl::Span<const std::uint64_t> ids,
                                                              Shard* shard) {
  PB_ASSIGN_OR_RETURN(const auto entries, Entries(ids, shard));
  PB_ASSIGN_OR_RETURN(std::vector<RoundOutcome> outcomes,
                      ToAbslStatusOr(shard->CommitRound(entries)));
  for (const RoundOutcome& outcome : outcomes) PB_RETURN_IF_ERROR(Apply(outcome));
  return outcomes;
}

absl::StatusOr<std::vector<Shard::RoundEntry>> RoundRunner::Entries(
    absl::Span<const std::uint64_t> ids, const Shard* shard) const {
  if (shard == nullptr) {
    return absl::FailedPreconditionError("no shard is attached: nothing can be compressed");
  }
  std::vector<Shard::RoundEntry> entries;
  for (const std::uint64_t sequence : ids) {
    PB_ASSIGN_OR_RETURN(const SequenceState* state, sequences_->Find(sequence));
    PB_RETURN_IF_ERROR(CheckSwappedIn(sequence, *state));
    entries.push_back({.sequence = sequence,
                       .block_tables = TablesOf(*state),
                       .destination_tables = DestinationsOf(*state)});
  }
  return entries;
}

void RoundRunner::Reserve(const Shard& shard, absl::Span<Shard::RoundEntry> entries) {
  for (Shard::RoundEntry& entry : entries) {
    SequenceState& state = **sequences_->Find(entry.sequence);
    const std::vector<int> planned_rows = shard.PlannedRows(entry.sequence);
    if (planned_rows.empty()) continue;
    entry.keep_all = !sequences_->Reserve(&state, planned_rows).ok();
    entry.destination_tables = DestinationsOf(state);
  }
}

void RoundRunner::Unreserve(absl::Span<const std::uint64_t> ids) {
  for (const std::uint64_t sequence : ids) {
    const auto state = sequences_->Find(sequence);
    if (state.ok()) sequences_->Unreserve(*state).IgnoreError();
  }
}

absl::Status RoundRunner::Apply(const RoundOutcome& outcome) {
  PB_ASSIGN_OR_RETURN(SequenceState * state, sequences_->Find(outcome.sequence));
  state->in_round = false;
  if (!outcome.applied) return sequences_->Unreserve(state);
  PB_RETURN_IF_ERROR(CheckOutcome(outcome, *state, *sequences_));
  const int before = sequences_->free_blocks() + SequenceTable::ReservedBlocks(*state);
  PB_RETURN_IF_ERROR(sequences_->Settle(state, outcome.blocks));
  stats_->blocks_saved += sequences_->free_blocks() - before;
  for (std::size_t i = 0; i < state->tables.size(); ++i) state->tables[i].rows = outcome.rows[i];
  return absl::OkStatus();
}

}  // namespace pinboard::engine
