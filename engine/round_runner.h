// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A round of compression as the engine sees it: blocks reserved before, blocks let go after.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/engine.h"
#include "engine/sequence_table.h"
#include "pinboard/shard.h"

namespace pinboard::engine {

/// Rounds over the sequences of one engine; what is kept is the shard's to decide. The rows of a
/// sequence that shares blocks move into blocks reserved for it before the round begins; where too
/// few are free, it keeps everything. Thread-compatible.
class RoundRunner {
 public:
  /// Both outlive this. Blocks set free, less those taken, are added to `stats`.
  RoundRunner(SequenceTable* sequences, EngineStats* stats)
      : sequences_(sequences), stats_(stats) {}

  /// [collective] Engine::BeginRound and Engine::CommitRound, with their errors. FailedPrecondition
  /// where `shard` is null.
  absl::Status Begin(absl::Span<const std::uint64_t> ids, Shard* shard);
  absl::StatusOr<std::vector<RoundOutcome>> Commit(absl::Span<const std::uint64_t> ids,
                                                   Shard* shard);

 private:
  absl::StatusOr<std::vector<Shard::RoundEntry>> Entries(absl::Span<const std::uint64_t> ids,
                                                         const Shard* shard) const;
  void Reserve(const Shard& shard, absl::Span<Shard::RoundEntry> entries);
  void Unreserve(absl::Span<const std::uint64_t> ids);
  absl::Status Apply(const RoundOutcome& outcome);

  SequenceTable* sequences_;
  EngineStats* stats_;
};

}  // namespace pinboard::engine
