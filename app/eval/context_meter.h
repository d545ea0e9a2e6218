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

/// Blocks that `together` of the items, the largest, need at most: their contexts `copies` times,
/// and beside them the forks that are asked.
int BlocksTogether(absl::Span<const SuiteItem> items, int together, int copies, int block_size);

/// For a sequence that is never compressed: `window` recent queries are remembered for its forks.
SequenceOptions NeverCompressed(int window);
/// For a fork that is asked: never compressed either, and it recalls as `compressed` does.
SequenceOptions AskedAs(const SequenceOptions& compressed);
int WidestWindow(absl::Span<const Arm> arms);

/// A context in the cache, to be asked.
struct Asked {
  std::uint64_t sequence = 0;
  const SuiteItem* item = nullptr;
  SequenceOptions options;
  std::int64_t ring_rows = 0;  // over all layers
  bool keeps_all = false;      // the sequence is its own reference
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

  /// [collective] Runs forks of all `asked` side by side: each question by greedy decoding, the
  /// continuation teacher-forced against the reference. One token a step where any has a ring.
  absl::Status Ask(absl::Span<const Asked> asked, ArmResult* result);

  /// [collective] Adds what happened since `before`. `compressed`: right after the compression that
  /// is measured, when `resident_bytes` lay in this rank's blocks.
  absl::Status AddCounters(const ShardStats& before, const ShardStats& compressed,
                           std::size_t resident_bytes, ArmResult* result);

 private:
  absl::StatusOr<std::vector<TokenScript>> ForkScripts(const Asked& asked);
  absl::Status Score(const Asked& asked, absl::Span<const TokenScript> scripts, ArmResult* result);
  absl::Status ScoreContinuation(const Asked& asked, absl::Span<const float> logits,
                                 ArmResult* result);

  RankSession* session_;
  const int kv_shards_;  // ranks that offload different bytes
};

}  // namespace pinboard::app
