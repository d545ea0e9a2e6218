// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// When a sequence is compressed: by count of tokens, or when memory runs short.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace pinboard::scheduler {

/// Both may be asked for; neither: never.
struct RoundTrigger {
  int every = 0;  // [0, 2^20]: tokens from round to round; 0: not by count
  double watermark =
      0.0;  // [0, 1]: share of the cache's blocks in use from which on; 0: not by use
};

/// "every:N", N at least 1, or "pressure:WATERMARK", above 0. InvalidArgument, one line: neither,
/// or out of range.
absl::StatusOr<RoundTrigger> ParseRoundTrigger(absl::string_view text);

/// InvalidArgument, one line, naming the option and its range.
absl::Status Validate(const RoundTrigger& trigger);

/// A sequence between two steps.
struct TriggerSnapshot {
  int length = 0;
  int length_at_round = 0;  // of its last round, applied or not; 0: none yet
  int prompt_tokens = 0;
  int used_blocks = 0;  // of the engine's pool, by all sequences
  int total_blocks = 0;
};

/// By count: when the prompt has just been read, and every `every` tokens, also while the prompt
/// streams in. By use: when at least a page of new rows could be gained since the last round.
bool IsDue(const RoundTrigger& trigger, const TriggerSnapshot& sequence);

}  // namespace pinboard::scheduler
