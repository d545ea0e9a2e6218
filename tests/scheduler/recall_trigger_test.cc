// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/recall_trigger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pinboard::scheduler {
namespace {

using ::testing::HasSubstr;

RecallTrigger Parsed(const std::string& text) {
  const auto trigger = ParseRecallTrigger(text);
  EXPECT_TRUE(trigger.ok()) << trigger.status();
  return *trigger;
}

TEST(RecallTrigger, EveryOneIsDueUntilPagesWereChosenOnce) {
  for (const char* text : {"step", "interval:100", "drift:-1", "entropy:16"}) {
    const RecallSnapshot fresh{.chosen_before = false, .steps_since = 1, .cosine = 1 << 30};
    EXPECT_TRUE(IsDue(Parsed(text), fresh)) << text;
  }
}

TEST(RecallTrigger, ByStepIsAlwaysDue) {
  EXPECT_TRUE(IsDue(Parsed("step"), {.chosen_before = true, .steps_since = 1}));
}

TEST(RecallTrigger, ByIntervalEverySoManySteps) {
  const RecallTrigger trigger = Parsed("interval:8");
  EXPECT_FALSE(IsDue(trigger, {.chosen_before = true, .steps_since = 7}));
  EXPECT_TRUE(IsDue(trigger, {.chosen_before = true, .steps_since = 8}));
  EXPECT_TRUE(IsDue(Parsed("interval:1"), {.chosen_before = true, .steps_since = 1}));
}

TEST(RecallTrigger, ByDriftWhereTheCosineIsBelowTheThreshold) {
  const RecallTrigger trigger = Parsed("drift:0.75");
  const std::int32_t threshold = 3 << 28;  // 0.75 * 2^30
  EXPECT_FALSE(IsDue(trigger, {.chosen_before = true, .cosine = threshold}));
  EXPECT_TRUE(IsDue(trigger, {.chosen_before = true, .cosine = threshold - 1}));
  EXPECT_TRUE(IsDue(Parsed("drift:-0.5"), {.chosen_before = true, .cosine = -(1 << 29) - 1}));
}

TEST(RecallTrigger, ByEntropyWhereTheLastTokenWasLessCertainThanTheThreshold) {
  const RecallTrigger trigger = Parsed("entropy:1.5");
  const std::int32_t threshold = 3 << 24;  // 1.5 nats * 2^25
  EXPECT_FALSE(IsDue(trigger, {.chosen_before = true, .entropy = threshold}));
  EXPECT_TRUE(IsDue(trigger, {.chosen_before = true, .entropy = threshold + 1}));
}

TEST(RecallTrigger, WhatCannotBeReadIsRefusedNamingWhatCan) {
  for (const char* text :
       {"", "never", "step:1", "interval", "interval:0", "interval:1048577", "interval:x",
        "drift:1.01", "drift:nan", "entropy:-0.1", "entropy:17", "entropy:nan", "drift"}) {
    const auto refused = ParseRecallTrigger(text);
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(refused.status().message()),
                HasSubstr("use step, interval:N with N in [1, 1048576] steps"));
  }
}

TEST(RecallTrigger, LooksAheadByFewerLayersThanThereAre) {
  for (const int ahead : {-1, 0, 6}) EXPECT_TRUE(CheckRecallAhead(ahead, 7).ok()) << ahead;
  for (const int ahead : {-2, 7, 99}) {
    const auto refused = CheckRecallAhead(ahead, 7);
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << ahead;
    EXPECT_THAT(std::string(refused.message()), HasSubstr(": use 0 to 6 layers, or -1"));
  }
}

}  // namespace
}  // namespace pinboard::scheduler
