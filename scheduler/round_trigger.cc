// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/round_trigger.h"

#include "absl/strings/str_cat.h"
#include "base/page.h"

namespace pinboard::scheduler {
namespace {

constexpr int kMaxEvery = 1 << 20;

}  // namespace

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
