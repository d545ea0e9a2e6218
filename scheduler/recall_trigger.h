// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// When a sequence's pages are chosen anew: every step, or where something cheaper says so.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace pinboard::scheduler {

enum class RecallWhen : std::uint8_t { kStep, kInterval, kDrift, kEntropy };

/// A step that is not due scores no page, asks for none and exchanges nothing for recall; the ring
/// stays as it is.
struct RecallTrigger {
  RecallWhen when = RecallWhen::kStep;
  int interval = 1;            // kInterval: steps from one choice to the next
  std::int32_t threshold = 0;  // kDrift: a cosine, 2^kAttentionFractionBits; kEntropy: nats,
                               // 2^kInformationFractionBits
};

/// "step", "interval:N" (N in [1, 2^20] steps), "drift:X" (X in [-1, 1], a cosine) or "entropy:X"
/// (X in [0, 16] nats). InvalidArgument, one line, naming what can be said.
absl::StatusOr<RecallTrigger> ParseRecallTrigger(const std::string& text);

/// Of a model of so many layers: InvalidArgument unless `recall_ahead`, the layers by which a
/// choice within the step goes ahead of its use, lies in [0, layers), or is -1: one step behind.
absl::Status CheckRecallAhead(int recall_ahead, int layers);

/// A sequence at the beginning of a step. Integers that all ranks hold.
struct RecallSnapshot {
  bool chosen_before = false;     // false: its pages were never chosen; always due
  std::uint64_t steps_since = 0;  // from the step of the last choice to this one
  /// Of the previous step's queries with those of the last choice, the mean over layers and heads.
  std::int32_t cosine = 0;
  /// Of the distribution that produced this step's first token.
  std::int32_t entropy = 0;
};

/// kInterval: steps_since >= interval; kDrift: cosine < threshold; kEntropy: entropy > threshold.
bool IsDue(const RecallTrigger& trigger, const RecallSnapshot& sequence);

}  // namespace pinboard::scheduler
