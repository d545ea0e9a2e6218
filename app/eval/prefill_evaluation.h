// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Arms that compress once, after the context: one prefill per context serves them all.
#pragma once

#include <cstdint>
#include <vector>

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
  static int CacheBlocksNeeded(absl::Span<const SuiteItem> items, int block_size);

  /// `session` outlives the evaluation and was opened with observe_all_queries where an arm needs
  /// it.
  PrefillEvaluation(RankSession* session, std::vector<Arm> arms, Progress progress);

  absl::Status Measure(absl::Span<const SuiteItem> items) override;

 private:
  /// A context: uncompressed, and as the present arm keeps it.
  struct Context {
    const SuiteItem* item = nullptr;
    std::uint64_t root = 0;
    std::vector<float> reference;
    std::uint64_t kept = 0;
  };

  absl::StatusOr<Context> Prefill(const SuiteItem& item);
  absl::Status MeasureArm(absl::Span<Context> contexts, const Arm& arm, ArmResult* result);
  absl::StatusOr<std::vector<RoundOutcome>> Compress(absl::Span<const Context> contexts,
                                                     const Arm& arm);

  RankSession* session_;
  ContextMeter meter_;
};

}  // namespace pinboard::app
