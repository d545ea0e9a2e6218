// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Arms that compress once, after the context: one prefill per context serves them all.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "app/eval/context_meter.h"
#include "app/eval/evaluation.h"
#include "app/session/rank_session.h"

namespace pinboard::app {

/// Per context: prefill a root sequence; per arm fork it, compress the fork before any question is
/// seen, and ask it. One token a step where pages are recalled.
class PrefillEvaluation final : public Evaluation {
 public:
  /// Blocks that the largest context needs with its arm, its questions and its continuation beside
  /// it.
  static int CacheBlocksNeeded(absl::Span<const SuiteItem> items, int block_size);

  /// `session` outlives the evaluation and was opened with observe_all_queries where an arm needs
  /// it.
  PrefillEvaluation(RankSession* session, std::vector<Arm> arms, Progress progress);

  absl::Status Measure(absl::Span<const SuiteItem> items) override;
  int contexts_together() const override { return 1; }

 private:
  absl::Status MeasureContext(const SuiteItem& item);
  absl::Status MeasureArm(std::uint64_t root, const SuiteItem& item, const Arm& arm,
                          ArmResult* result);
  absl::StatusOr<RoundOutcome> Compress(std::uint64_t sequence, const Arm& arm);

  RankSession* session_;
  ContextMeter meter_;
  std::vector<float> reference_;  // of the present context
};

}  // namespace pinboard::app
