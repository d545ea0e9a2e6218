// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Arms that compress again and again while a context is decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "app/eval/context_meter.h"
#include "app/eval/evaluation.h"
#include "app/session/rank_session.h"

namespace pinboard::app {

/// Per arm: the prompt is prefilled, the rest of the context is fed as if it had been generated,
/// with a round after every `every` tokens of it, then the sequence is asked. One token a step from
/// the first round on that gave it a ring; until then a round's tokens in one step, which is the
/// same (tests/app/session_test.cc).
class DecodeEvaluation final : public Evaluation {
 public:
  static int CacheBlocksNeeded(absl::Span<const SuiteItem> items, int block_size);

  /// As PrefillEvaluation. `every`: tokens, at least one.
  DecodeEvaluation(RankSession* session, std::vector<Arm> arms, int every, Progress progress);

  absl::Status Measure(absl::Span<const SuiteItem> items) override;

 private:
  /// A context under way.
  struct Decoding {
    const SuiteItem* item = nullptr;
    std::uint64_t sequence = 0;
    std::size_t fed = 0;
    std::int64_t ring_rows = 0;  // over all layers

    bool done() const { return fed == item->context.size(); }
    std::size_t generated() const { return fed - item->prompt_tokens; }
  };

  absl::Status MeasureFull(const SuiteItem& item, std::vector<float>* reference);
  absl::Status MeasureArm(absl::Span<const SuiteItem> items, const Arm& arm, ArmResult* result);
  absl::StatusOr<std::vector<Decoding>> Start(absl::Span<const SuiteItem> items, const Arm& arm);
  /// As many as have room in a step; returns those.
  absl::StatusOr<std::vector<Decoding*>> Step(absl::Span<Decoding* const> open);
  /// Compresses those of `fed` that have come to a round.
  absl::Status Compress(absl::Span<Decoding* const> fed, ArmResult* result);
  absl::Status Finish(absl::Span<const Decoding> decoded,
                      absl::Span<const std::vector<float>> references, const Arm& arm,
                      const ShardStats& before, ArmResult* result);
  /// Of each question; nothing for one that does not say.
  std::vector<std::optional<int>> RoundsAgoOf(const SuiteItem& item) const;

  RankSession* session_;
  ContextMeter meter_;
  const int every_;
  std::vector<std::vector<float>> references_;  // of the present contexts
};

}  // namespace pinboard::app
