// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Measures arms on contexts: one prefill per context serves them all.
#pragma once

#include <cstdint>
#include <functional>
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

/// Blocks that the largest context needs with its arm, its questions and its continuation beside
/// it.
int CacheBlocksNeeded(absl::Span<const SuiteItem> items, int block_size);

/// Per context: prefill a root sequence; per arm fork it, compress the fork before any question is
/// seen, and run forks of that side by side: each question by greedy decoding, the continuation
/// teacher-forced against the full cache. One token a step where pages are recalled.
///
/// SPMD: every rank measures, and every rank's results are the same but for their times. One
/// thread.
class Evaluation {
 public:
  /// Told of each arm that was measured in the current context.
  using Progress = std::function<void(const Arm& arm, const ArmResult& so_far)>;

  /// `session` outlives the evaluation and was opened with observe_all_queries where an arm needs
  /// it.
  Evaluation(RankSession* session, std::vector<Arm> arms, Progress progress);

  /// [collective] Adds one context to the results. An error leaves the session unusable.
  absl::Status Measure(const SuiteItem& item);

  const std::vector<Arm>& arms() const { return arms_; }
  const std::vector<ArmResult>& results() const { return results_; }  // parallel to arms()
  /// Prefills and the full cache's continuations, which all arms share.
  double prefill_seconds() const { return prefill_seconds_; }

 private:
  absl::Status MeasureReference(std::uint64_t root, const SuiteItem& item);
  absl::Status MeasureArm(std::uint64_t root, const SuiteItem& item, const Arm& arm,
                          ArmResult* result);
  absl::StatusOr<RoundOutcome> Compress(std::uint64_t sequence, const Arm& arm);
  absl::StatusOr<std::vector<TokenScript>> ForkScripts(std::uint64_t from, const SuiteItem& item);
  absl::Status Answer(std::uint64_t sequence, const SuiteItem& item, const Arm& arm,
                      Feeding feeding, ArmResult* result);
  absl::Status ScoreContinuation(const SuiteItem& item, const std::vector<float>& logits,
                                 ArmResult* result);
  absl::Status AddRankTotals(const ShardStats& before, const ShardStats& compressed,
                             std::size_t resident_bytes, ArmResult* result);

  RankSession* session_;
  const std::vector<Arm> arms_;
  const Progress progress_;
  const int kv_shards_;  // ranks that offload different bytes
  std::vector<ArmResult> results_;
  std::vector<float> reference_;  // logits of the full cache after each continuation token
  double prefill_seconds_ = 0.0;
};

}  // namespace pinboard::app
