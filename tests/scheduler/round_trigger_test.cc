// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/round_trigger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace pinboard::scheduler {
namespace {

using ::testing::HasSubstr;

TEST(RoundTrigger, ByDefaultNothingIsEverDue) {
  EXPECT_FALSE(IsDue({}, {.length = 100000, .used_blocks = 10, .total_blocks = 10}));
}

TEST(RoundTrigger, ByCountWhenThePromptHasBeenReadAndThenEverySoManyTokens) {
  const RoundTrigger trigger{.every = 64};
  const auto due = [&](int length, int at_round, int prompt) {
    return IsDue(trigger, {.length = length, .length_at_round = at_round, .prompt_tokens = prompt});
  };
  EXPECT_FALSE(due(40, 0, 50));
  EXPECT_TRUE(due(50, 0, 50)) << "the prompt has just been read";
  EXPECT_FALSE(due(51, 50, 50));
  EXPECT_FALSE(due(113, 50, 50));
  EXPECT_TRUE(due(114, 50, 50));
  EXPECT_TRUE(due(64, 0, 1000)) << "a long prompt is compressed while it streams in";
  EXPECT_FALSE(due(127, 64, 1000));
  EXPECT_TRUE(due(1000, 960, 1000));
  EXPECT_FALSE(due(63, 0, 0));
  EXPECT_TRUE(due(64, 0, 0));
}

TEST(RoundTrigger, ByUseFromTheWatermarkOnWhereAPageCouldBeGained) {
  const RoundTrigger trigger{.watermark = 0.75};
  const auto due = [&](int used, int since) {
    return IsDue(
        trigger,
        {.length = 500 + since, .length_at_round = 500, .used_blocks = used, .total_blocks = 100});
  };
  EXPECT_FALSE(due(74, 64));
  EXPECT_TRUE(due(75, 64));
  EXPECT_TRUE(due(75, 16));
  EXPECT_FALSE(due(100, 15)) << "a round of nothing new would be one in vain each step";
}

TEST(RoundTrigger, IsReadFromText) {
  const auto every = ParseRoundTrigger("every:64");
  ASSERT_TRUE(every.ok()) << every.status();
  EXPECT_EQ(every->every, 64);
  EXPECT_EQ(every->watermark, 0.0);
  const auto pressure = ParseRoundTrigger("pressure:0.75");
  ASSERT_TRUE(pressure.ok()) << pressure.status();
  EXPECT_EQ(pressure->every, 0);
  EXPECT_EQ(pressure->watermark, 0.75);
  for (const char* text : {"", "64", "every", "every:", "every:0", "every:-4", "every:2.5",
                           "pressure:", "pressure:0", "pressure:x", "pressure:nan"}) {
    EXPECT_THAT(std::string(ParseRoundTrigger(text).status().message()),
                HasSubstr("is neither every:N"))
        << text;
  }
  EXPECT_THAT(std::string(ParseRoundTrigger("pressure:1.5").status().message()),
              HasSubstr("round_watermark is 1.5"));
}

TEST(RoundTrigger, OptionsOutOfRangeAreNamed) {
  const auto message = [](const RoundTrigger& trigger) {
    EXPECT_EQ(Validate(trigger).code(), absl::StatusCode::kInvalidArgument);
    return std::string(Validate(trigger).message());
  };
  EXPECT_THAT(message({.every = -1}), HasSubstr("round_every is -1"));
  EXPECT_THAT(message({.watermark = 1.5}), HasSubstr("round_watermark is 1.5"));
  EXPECT_THAT(message({.watermark = std::nan("")}), HasSubstr("round_watermark"));
  EXPECT_TRUE(Validate({.every = 1024, .watermark = 0.9}).ok());
}

}  // namespace
}  // namespace pinboard::scheduler
