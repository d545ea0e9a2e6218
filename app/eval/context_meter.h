// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What both kinds of evaluation do with a context once it is in a cache: ask, score, count.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "app/eval/arm.h"
#include "app/eval/arm_result.h"
#include "app/session/rank_session.h"
#include "app/session/token_scripts.h"
#include "app/suite/suite.h"

namespace pinboard::app {

/// Blocks of `rows` rows.
int Blocks(std::size_t rows, int block_size);
/// Blocks that the item's questions and its continuation need side by side, the context included.
int ForkBlocks(const SuiteItem& item, int block_size);

/// For a sequence that is never compressed: `window` recent queries are remembered for its forks.
SequenceOptions NeverCompressed(int window);
int WidestWindow(absl::Span<const Arm> arms);

/// How a sequence is asked.
struct Asking {
  Feeding feeding = Feeding::kWhole;
  bool keeps_all = false;  // the sequence is its own reference
  absl::Span<const float> reference;
  std::vector<std::optional<int>> rounds_ago;  // of each question; empty: of none
};

/// SPMD, one thread.
class ContextMeter {
 public:
  /// `session` outlives the meter.
  explicit ContextMeter(RankSession* session);

  /// [collective] Logits [continuation tokens, vocab_local] that the full cache `root` gives after
  /// each continuation token; empty where the item has none.
  absl::StatusOr<std::vector<float>> Reference(std::uint64_t root, const SuiteItem& item);

  /// [collective] Runs forks of `sequence` side by side: each question by greedy decoding, the
  /// continuation teacher-forced against the reference.
  absl::Status Ask(std::uint64_t sequence, const SuiteItem& item, const Asking& asking,
                   ArmResult* result);

  /// [collective] Adds what happened since `before`. `compressed`: right after the compression that
  /// is measured, when `resident_bytes` lay in this rank's blocks.
  absl::Status AddCounters(const ShardStats& before, const ShardStats& compressed,
                           std::size_t resident_bytes, ArmResult* result);

 private:
  absl::StatusOr<std::vector<TokenScript>> ForkScripts(std::uint64_t from, const SuiteItem& item);
  absl::Status ScoreContinuation(const SuiteItem& item, absl::Span<const float> reference,
                                 absl::Span<const float> logits, ArmResult* result);

  RankSession* session_;
  const int kv_shards_;  // ranks that offload different bytes
};

}  // namespace pinboard::app
