// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/round_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/page.h"
#include "tests/support/seeded_random.h"

namespace pinboard::scheduler {
namespace {

using ::testing::HasSubstr;

SequenceSnapshot FirstRound(int length, int protected_rows = 68, int block_size = 16) {
  return {.length = length,
          .rows = length,
          .ring_rows = 0,
          .protected_rows = protected_rows,
          .block_size = block_size};
}

int Blocks(int rows, int block_size) { return (rows + block_size - 1) / block_size; }

TEST(RoundPlan, KeepsTheShareOffloadsTheBandAndFillsTheRing) {
  // 0.1 * 3700 = 370; 0.4 * 3700 = 1480 = 92.5 pages.
  const RoundPlan plan = PlanRound({}, FirstRound(3700));
  EXPECT_TRUE(plan.compress);
  EXPECT_EQ(plan.keep_rows, 370);
  EXPECT_EQ(plan.band_pages, 92);
  EXPECT_EQ(plan.ring_pages, 16);
}

TEST(RoundPlan, SharesAreDecimalAndRoundToTheNearestRow) {
  EXPECT_EQ(PlanRound({.budget = 0.1}, FirstRound(4095)).keep_rows, 410);  // 409.5
  EXPECT_EQ(PlanRound({.budget = 0.1}, FirstRound(4094)).keep_rows, 409);  // 409.4
  EXPECT_EQ(PlanRound({.budget = 0.3}, FirstRound(1000)).keep_rows, 300);
  // 0.07 * 1600 = 112 rows, exactly 7 pages: a share computed in doubles falls just short of it.
  EXPECT_EQ(PlanRound({.budget = 0.1, .band = 0.07}, FirstRound(1600)).band_pages, 7);
}

TEST(RoundPlan, NeverKeepsFewerThanTheProtectedRows) {
  const RoundPlan plan = PlanRound({.budget = 0.1}, FirstRound(1000, 700));
  EXPECT_TRUE(plan.compress);
  EXPECT_EQ(plan.keep_rows, 700);
  // What is evicted bounds the band: 300 rows are 18 pages, 0.4 * 1000 would be 25.
  EXPECT_EQ(plan.band_pages, 18);
}

TEST(RoundPlan, AProtectedPromptLargerThanTheSequenceIsANoOp) {
  const RoundPlan plan = PlanRound({.budget = 0.1}, FirstRound(1000, 1000));
  EXPECT_FALSE(plan.compress);
  EXPECT_EQ(plan.keep_rows, 1000);
}

TEST(RoundPlan, ABudgetOfOneIsANoOp) {
  EXPECT_FALSE(PlanRound({.budget = 1.0}, FirstRound(4096)).compress);
}

TEST(RoundPlan, ARoundThatFreesNoBlockKeepsEverything) {
  // 160 rows in 10 blocks; 145 kept rows need 10 blocks too.
  const RoundPlan plan = PlanRound({.budget = 0.9, .offload = false}, FirstRound(160, 145));
  EXPECT_FALSE(plan.compress);
  EXPECT_EQ(plan.keep_rows, 160);
  EXPECT_TRUE(PlanRound({.budget = 0.9, .offload = false}, FirstRound(160, 144)).compress);
}

TEST(RoundPlan, TheRingCountsAgainstWhatIsGained) {
  // 256 rows: keep 154; with a ring of 6 pages 250 rows would need the 16 blocks there are already.
  const BudgetOptions options{.budget = 0.6, .band = 0.4, .recall_pages = 16};
  EXPECT_EQ(PlanRound(options, FirstRound(256)).ring_pages, 5);
  SequenceSnapshot later = FirstRound(256);
  later.ring_rows = 96;
  later.rows = 250;
  EXPECT_FALSE(PlanRound(options, later).compress) << "and the ring that is there stays";
}

TEST(RoundPlan, TheRingIsWholeBlocksAndAtMostTheBand) {
  const auto ring = [](int recall_pages, int block_size, int length = 4096) {
    return PlanRound({.recall_pages = recall_pages}, FirstRound(length, 68, block_size)).ring_pages;
  };
  EXPECT_EQ(ring(15, 16), 15);
  EXPECT_EQ(ring(15, 32), 14);
  EXPECT_EQ(ring(15, 64), 12);
  EXPECT_EQ(ring(3, 64), 0);
  EXPECT_EQ(ring(0, 16), 0);
  EXPECT_EQ(ring(1024, 16), 102);   // 0.4 * 4096 / 16
  EXPECT_EQ(ring(16, 64, 400), 8);  // a band of 10 pages, blocks of 4
}

TEST(RoundPlan, TheRingGrowsByWhatIsEvictedAndNeverShrinks) {
  SequenceSnapshot later = FirstRound(4096);
  later.ring_rows = 4 * kPageRows;
  later.rows = 2000;
  const RoundPlan plan = PlanRound({.recall_pages = 16}, later);
  EXPECT_TRUE(plan.compress);
  EXPECT_EQ(plan.ring_pages, 16);
  EXPECT_EQ(plan.keep_rows, 410);
  EXPECT_EQ(plan.band_pages, 102);  // a share of the length, not of what is left
  later.rows = 4 * kPageRows + 410 + 64;
  EXPECT_EQ(PlanRound({.recall_pages = 16}, later).ring_pages, 7) << "4 more would free no block";
  EXPECT_EQ(PlanRound({.recall_pages = 2}, later).ring_pages, 4);
}

TEST(RoundPlan, TheBudgetMayBeAShareOfWhatFollowsThePromptOrACap) {
  SequenceSnapshot sequence = FirstRound(3000);
  sequence.prompt_rows = 1000;
  EXPECT_EQ(PlanRound({.budget = 0.25, .of_generated = true}, sequence).keep_rows, 1500);
  EXPECT_EQ(PlanRound({.budget = 0.25, .cap = 777}, sequence).keep_rows, 777);
  EXPECT_EQ(PlanRound({.cap = 5}, sequence).keep_rows, 68) << "never fewer than are protected";
}

TEST(RoundPlan, ALaterRoundWithNothingNewIsANoOp) {
  SequenceSnapshot later = FirstRound(4096);
  later.ring_rows = 16 * kPageRows;
  later.rows = later.ring_rows + 410;
  const RoundPlan plan = PlanRound({}, later);
  EXPECT_FALSE(plan.compress);
  EXPECT_EQ(plan.keep_rows, 410);
  EXPECT_EQ(plan.ring_pages, 16);
}

TEST(RoundPlan, WithoutAServiceThereIsNeitherBandNorRing) {
  const RoundPlan plan = PlanRound({.offload = false}, FirstRound(4096));
  EXPECT_TRUE(plan.compress);
  EXPECT_EQ(plan.band_pages, 0);
  EXPECT_EQ(plan.ring_pages, 0);
  EXPECT_EQ(PlanRound({.band = 0.0}, FirstRound(4096)).ring_pages, 0);
}

TEST(RoundPlan, LongSequencesDoNotOverflow) {
  const int length = std::numeric_limits<int>::max() - 64;
  const RoundPlan plan = PlanRound({.budget = 0.5, .band = 0.5}, FirstRound(length));
  EXPECT_TRUE(plan.compress);
  EXPECT_EQ(plan.keep_rows, length / 2 + 1);
  EXPECT_EQ(plan.band_pages, (length - plan.keep_rows) / kPageRows);
}

TEST(RoundPlan, WhateverTheSequenceThePlanHoldsItsPromises) {
  std::mt19937 random(TestSeed());
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int round = 0; round < 20000; ++round) {
    const BudgetOptions options{.budget = pick(1, 1000) / 1000.0,
                                .band = pick(0, 1000) / 1000.0,
                                .recall_pages = pick(0, 64),
                                .offload = pick(0, 3) > 0};
    ASSERT_TRUE(Validate(options).ok());
    SequenceSnapshot sequence;
    sequence.block_size = 16 << pick(0, 2);
    sequence.length = pick(1, 5000);
    sequence.ring_rows = pick(0, 1) * sequence.block_size * pick(0, 4);
    sequence.rows = sequence.ring_rows + pick(1, sequence.length);
    sequence.protected_rows = pick(0, sequence.rows - sequence.ring_rows);
    const RoundPlan plan = PlanRound(options, sequence);

    const int candidates = sequence.rows - sequence.ring_rows;
    ASSERT_GE(plan.keep_rows, sequence.protected_rows);
    ASSERT_LE(plan.keep_rows, candidates);
    ASSERT_EQ(plan.ring_pages * kPageRows % sequence.block_size, 0);
    ASSERT_GE(plan.ring_pages * kPageRows, sequence.ring_rows);
    if (plan.ring_pages * kPageRows > sequence.ring_rows) {
      ASSERT_LE(plan.ring_pages, plan.band_pages);
      ASSERT_LE(plan.ring_pages, options.recall_pages);
      ASSERT_LE(plan.ring_pages * kPageRows - sequence.ring_rows, candidates - plan.keep_rows);
    }
    const int rows_after = plan.ring_pages * kPageRows + plan.keep_rows;
    const int blocks = Blocks(sequence.rows, sequence.block_size);
    if (plan.compress) {
      ASSERT_LT(Blocks(rows_after, sequence.block_size), blocks);
      ASSERT_LE(plan.band_pages * kPageRows, options.band * sequence.length + 1e-6);
    } else {
      ASSERT_EQ(rows_after, sequence.rows);
      ASSERT_EQ(plan.band_pages, 0);
    }
    ASSERT_TRUE(options.offload || plan.band_pages == 0);
  }
}

TEST(BudgetOptions, OptionsOutOfRangeAreNamedWithTheirRange) {
  const auto message = [](const BudgetOptions& options) {
    const absl::Status status = Validate(options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(message({.budget = 0.0}), HasSubstr("budget is 0: it must lie in (0, 1]"));
  EXPECT_THAT(message({.budget = 1.5}), HasSubstr("budget is 1.5"));
  EXPECT_THAT(message({.budget = std::nan("")}), HasSubstr("budget"));
  EXPECT_THAT(message({.band = -0.1}), HasSubstr("band is -0.1: it must lie in [0, 1]"));
  EXPECT_THAT(message({.band = std::nan("")}), HasSubstr("band"));
  EXPECT_THAT(message({.recall_pages = 1025}), HasSubstr("[0, 1024]"));
  EXPECT_THAT(message({.cap = -1}), HasSubstr("cap is -1"));
  EXPECT_TRUE(Validate({.budget = 1.0, .band = 1.0, .recall_pages = 1024}).ok());
}

}  // namespace
}  // namespace pinboard::scheduler
