// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The rounds of a rank, one after another: due, planned, prepared, voted on, applied.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "pinboard/shard.h"
#include "shard/context.h"
#include "shard/recall.h"
#include "shard/round_plan.h"
#include "shard/round_prepare.h"

namespace pinboard {

/// At most one round is under way; while it is, the rings of its sequences stand still. The calls
/// are those of Shard, with their errors. One thread.
class Rounds {
 public:
  /// Both outlive this.
  Rounds(ShardContext* context, Recall* recall) : context_(context), recall_(recall) {}

  std::vector<std::uint64_t> Due(int used_blocks, int total_blocks) const;
  /// Shard::PlannedRows.
  std::vector<int> PlannedRows(std::uint64_t sequence) const;

  /// [collective: PlanRound's] Shows what was recalled and takes the snapshot. An error leaves no
  /// round under way.
  absl::Status Begin(std::span<const Shard::RoundEntry> entries);
  /// [collective: VoteOnRound's] Ends the round, whether or not it is applied and on errors too,
  /// unless `entries` are not those it began with (FailedPrecondition, InvalidArgument).
  absl::StatusOr<std::vector<RoundOutcome>> Commit(std::span<const Shard::RoundEntry> entries);

 private:
  absl::Status CheckBegin(std::span<const Shard::RoundEntry> entries) const;
  absl::Status CheckCommit(std::span<const Shard::RoundEntry> entries) const;
  /// [entries]; none where one fails: the round is not ready then.
  std::vector<PreparedSequence> Prepare(std::span<const Shard::RoundEntry> entries);
  /// Empty, or why everything is kept.
  absl::StatusOr<std::string> Agree();
  /// What becomes of a sequence, but for its rows.
  RoundOutcome Judge(const SequencePlan& plan, const std::string& kept_all_because);
  /// To those that do not keep everything.
  absl::Status Apply(std::span<const Shard::RoundEntry> entries,
                     absl::Span<PreparedSequence> prepared, absl::Span<RoundOutcome> outcomes);
  /// How many rows are left; counts what became of all of them.
  void Report(const Shard::RoundEntry& entry, RoundOutcome* outcome) const;
  void End();

  ShardContext* context_;
  Recall* recall_;
  std::uint64_t round_number_ = 0;
  std::optional<RoundInProgress> round_;
};

}  // namespace pinboard
