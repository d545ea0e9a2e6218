// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/round_trigger.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/page.h"
#include "base/status_macros.h"

namespace pinboard::scheduler {
namespace {

constexpr int kMaxEvery = 1 << 20;

}  // namespace

absl::StatusOr<RoundTrigger> ParseRoundTrigger(absl::string_view text) {
  RoundTrigger trigger;
  absl::string_view value = text;
  if (absl::ConsumePrefix(&value, "every:") && absl::SimpleAtoi(value, &trigger.every) &&
      trigger.every >= 1) {
    PB_RETURN_IF_ERROR(Validate(trigger));
    return trigger;
  }
  value = text;
  if (absl::ConsumePrefix(&value, "pressure:") && absl::SimpleAtod(value, &trigger.watermark) &&
      trigger.watermark > 0.0) {
    PB_RETURN_IF_ERROR(Validate(trigger));
    return trigger;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", text,
                   "' is neither every:N (tokens, at least 1) nor pressure:WATERMARK "
                   "(a share of the cache's blocks, above 0 and at most 1)"));
}

absl::Status Validate(const RoundTrigger& trigger) {
  if (trigger.every < 0 || trigger.every > kMaxEvery) {
    return absl::InvalidArgumentError(absl::StrCat("round_every is ", trigger.every,
                                                   ": it must lie in [0, ", kMaxEvery, "] tokens"));
  }
  if (!(trigger.watermark >= 0.0 && trigger.watermark <= 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("round_watermark is ", trigger.watermark,
                     ": it must lie in [0, 1], a share of the cache's blocks"));
  }
  return absl::OkStatus();
}

bool IsDue(const RoundTrigger& trigger, const TriggerSnapshot& sequence) {
  const int since = sequence.length - sequence.length_at_round;
  if (trigger.every > 0) {
    const bool prompt_read = sequence.prompt_tokens > 0 &&
                             sequence.length >= sequence.prompt_tokens &&
                             sequence.length_at_round < sequence.prompt_tokens;
    if (prompt_read || since >= trigger.every) return true;
  }
  return trigger.watermark > 0.0 && since >= kPageRows &&
         sequence.used_blocks >= trigger.watermark * sequence.total_blocks;
}

}  // namespace pinboard::scheduler
