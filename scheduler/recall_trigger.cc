// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/recall_trigger.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/fixed_point.h"

namespace pinboard::scheduler {
namespace {

constexpr int kMaxInterval = 1 << 20;
constexpr double kMaxEntropy = 16.0;

absl::Status Refused(const std::string& text) {
  return absl::InvalidArgumentError(
      absl::StrCat("recall_when is '", text, "': use step, interval:N with N in [1, ", kMaxInterval,
                   "] steps, drift:X with a cosine X in [-1, 1], or entropy:X with X in [0, ",
                   kMaxEntropy, "] nats"));
}

}  // namespace

absl::StatusOr<RecallTrigger> ParseRecallTrigger(const std::string& text) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  const auto& [name, value] = parts;
  RecallTrigger trigger;
  if (text == "step") return trigger;
  if (name == "interval") {
    trigger.when = RecallWhen::kInterval;
    if (!absl::SimpleAtoi(value, &trigger.interval)) return Refused(text);
    if (trigger.interval < 1 || trigger.interval > kMaxInterval) return Refused(text);
    return trigger;
  }
  double threshold = 0.0;
  if (!absl::SimpleAtod(value, &threshold)) return Refused(text);
  if (name == "drift" && threshold >= -1.0 && threshold <= 1.0) {
    trigger.when = RecallWhen::kDrift;
    trigger.threshold = ToFixed32(threshold, kAttentionFractionBits);
    return trigger;
  }
  if (name == "entropy" && threshold >= 0.0 && threshold <= kMaxEntropy) {
    trigger.when = RecallWhen::kEntropy;
    trigger.threshold = ToFixed32(threshold, kInformationFractionBits);
    return trigger;
  }
  return Refused(text);
}

absl::Status CheckRecallAhead(int recall_ahead, int layers) {
  if (recall_ahead >= -1 && recall_ahead < layers) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("recall_ahead is ", recall_ahead, ": use 0 to ",
                                                 layers - 1, " layers, or -1 for one step behind"));
}

bool IsDue(const RecallTrigger& trigger, const RecallSnapshot& sequence) {
  if (!sequence.chosen_before) return true;
  switch (trigger.when) {
    case RecallWhen::kStep:
      return true;
    case RecallWhen::kInterval:
      return sequence.steps_since >= static_cast<std::uint64_t>(trigger.interval);
    case RecallWhen::kDrift:
      return sequence.cosine < trigger.threshold;
    case RecallWhen::kEntropy:
      return sequence.entropy > trigger.threshold;
  }
  return true;
}

}  // namespace pinboard::scheduler
