// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/band_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/seeded_random.h"

namespace pinboard::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Sixteen rows for each mean, at ascending positions with gaps.
std::vector<BorderlineRow> RowsOfPages(const std::vector<std::int32_t>& means) {
  std::vector<BorderlineRow> rows;
  for (const std::int32_t mean : means) {
    for (int i = 0; i < kPageRows; ++i) {
      const int row = static_cast<int>(rows.size());
      rows.push_back({100 + row, 3 * row, mean});
    }
  }
  return rows;
}

std::vector<std::int64_t> Means(const BandPlan& plan) {
  std::vector<std::int64_t> means;
  for (const NewPage& page : plan.publish) means.push_back(page.mean_information);
  return means;
}

TEST(BandPlan, PacksConsecutiveRowsWhereTheBandIsEmpty) {
  auto rows = RowsOfPages({10, 20});
  rows.back().information = 500;
  const BandPlan plan = PlanBand({}, rows, 2);
  ASSERT_EQ(plan.publish.size(), 2U);
  for (int i = 0; i < kPageRows; ++i) {
    EXPECT_EQ(plan.publish[0].rows[i].position, 3 * i);
    EXPECT_EQ(plan.publish[1].rows[i].row, 116 + i);
  }
  EXPECT_THAT(Means(plan), ElementsAre(10, 50));
  EXPECT_THAT(plan.drop, IsEmpty());
}

TEST(BandPlan, PacksTheMostInformativeOfAStretchTogetherInLaterRounds) {
  std::vector<BorderlineRow> rows;
  for (int i = 0; i < kPackingStretch + kPageRows; ++i) rows.push_back({100 + i, 3 * i, 0});
  for (int i = 1; i < 2 * kPageRows; i += 2) rows[i].information = 20;  // every other of 32 rows
  rows.back().information = 90;                                         // of the next stretch
  const BandPlan plan = PlanBand(std::vector<BandPage>{{9, 3, false}}, rows, 6);
  ASSERT_EQ(plan.publish.size(), 5U);
  for (int i = 0; i < kPageRows; ++i) {
    EXPECT_EQ(plan.publish[0].rows[i].row, 101 + 2 * i) << "ascending in the page";
    EXPECT_EQ(plan.publish[1].rows[i].row, 100 + 2 * i) << "ties to the earlier row";
    EXPECT_EQ(plan.publish[2].rows[i].position, 3 * (32 + i));
    EXPECT_EQ(plan.publish[4].rows[i].row, 100 + kPackingStretch + i);
  }
  EXPECT_THAT(Means(plan), ElementsAre(20, 0, 0, 0, 5));
  EXPECT_THAT(plan.drop, IsEmpty());
}

TEST(BandPlan, ARoundMakesThePagesThatHaveRoomAndOneThatCompetes) {
  EXPECT_EQ(NewPages(90, 0, 3000, 0), 90) << "the first round fills the band";
  EXPECT_EQ(NewPages(90, 0, 100, 0), 6) << "as far as there are rows";
  EXPECT_EQ(NewPages(92, 90, 100, 0), 3);
  EXPECT_EQ(NewPages(90, 90, 100, 0), 1);
  EXPECT_EQ(NewPages(90, 95, 100, 0), 1) << "a band that has shrunk since";
  EXPECT_EQ(NewPages(90, 90, 15, 0), 0);
  EXPECT_EQ(NewPages(90, 90, 100, 4), 4) << "slots of the ring are filled whatever the room";
  EXPECT_EQ(NewPages(0, 3, 100, 0), 0) << "no band, no competition";
}

TEST(BandPlan, TheMeanIsTheIntegerMeanOfSixteenRows) {
  auto rows = RowsOfPages({0});
  for (int i = 0; i < kPageRows; ++i) rows[i].information = i;  // 120 / 16 = 7.5
  EXPECT_THAT(Means(PlanBand({}, rows, 1)), ElementsAre(7));
  for (auto& row : rows) row.information = 2'000'000'000;  // the sum needs 64 bits
  EXPECT_THAT(Means(PlanBand({}, rows, 1)), ElementsAre(2'000'000'000));
}

TEST(BandPlan, TheLeastInformativeLeaveWhetherOldOrNew) {
  const std::vector<BandPage> existing = {{0, 50, false}, {1, 5, false}, {2, 30, false}};
  const BandPlan plan = PlanBand(existing, RowsOfPages({40, 1, 20}), 4);
  EXPECT_THAT(Means(plan), ElementsAre(40, 20));
  EXPECT_THAT(plan.drop, ElementsAre(1U));
}

TEST(BandPlan, OnATieTheLowerNumberLeavesAndTheOldBeforeTheNew) {
  const std::vector<BandPage> existing = {{3, 7, false}, {8, 7, false}};
  EXPECT_THAT(PlanBand(existing, RowsOfPages({7, 7}), 3).drop, ElementsAre(3U));
  EXPECT_THAT(PlanBand(existing, RowsOfPages({7, 7}), 2).drop, ElementsAre(3U, 8U));
  const BandPlan plan = PlanBand(existing, RowsOfPages({7, 7}), 1);
  ASSERT_EQ(plan.publish.size(), 1U);
  EXPECT_EQ(plan.publish[0].rows[0].position, 48);  // the earlier of the new pages left
}

TEST(BandPlan, PinnedPagesStayEvenWhereTheBandIsFull) {
  const std::vector<BandPage> existing = {{0, 1, true}, {1, 2, true}, {2, 3, false}};
  const BandPlan plan = PlanBand(existing, RowsOfPages({100}), 1);
  EXPECT_THAT(plan.drop, ElementsAre(2U));
  EXPECT_THAT(plan.publish, IsEmpty());
}

TEST(BandPlan, NoCapacityPublishesNothingAndDropsWhatIsNotPinned) {
  const std::vector<BandPage> existing = {{4, 9, false}, {5, 9, true}};
  const BandPlan plan = PlanBand(existing, RowsOfPages({10}), 0);
  EXPECT_THAT(plan.publish, IsEmpty());
  EXPECT_THAT(plan.drop, ElementsAre(4U));
}

TEST(BandPlan, TheMostInformativeNewPagesFillTheRingWhateverTheCapacity) {
  const std::vector<BandPage> existing = {{0, 90, false}, {1, 80, true}};
  const BandPlan plan = PlanBand(existing, RowsOfPages({5, 7, 1, 7}), 2, 2);
  EXPECT_THAT(Means(plan), ElementsAre(7, 7));
  EXPECT_THAT(plan.fill, ElementsAre(0U, 1U));
  EXPECT_THAT(plan.drop, ElementsAre(0U)) << "a page for a slot is pinned as those in the ring are";
  const BandPlan roomy = PlanBand(existing, RowsOfPages({5, 7, 1, 7, 9}), 9, 2);
  EXPECT_THAT(Means(roomy), ElementsAre(7, 7, 5, 1, 9));
  EXPECT_THAT(roomy.fill, ElementsAre(0U, 4U));
  EXPECT_THAT(PlanBand(existing, RowsOfPages({5, 7}), 9, 3).fill, ElementsAre(0U, 1U))
      << "not more than there are";
}

TEST(BandPlan, WhateverTheInputTheBestStayAndTheCapacityHolds) {
  std::mt19937 random(TestSeed());
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<BandPage> existing(pick(0, 12));
    int pinned = 0;
    for (std::size_t i = 0; i < existing.size(); ++i) {
      existing[i] = {static_cast<std::uint32_t>(3 * i), pick(0, 9), pick(0, 3) == 0};
      pinned += existing[i].pinned ? 1 : 0;
    }
    std::vector<std::int32_t> means(pick(0, 8));
    for (auto& mean : means) mean = pick(0, 9);
    const int capacity = pick(0, 16);
    const BandPlan plan = PlanBand(existing, RowsOfPages(means), capacity);

    const int left = static_cast<int>(existing.size() - plan.drop.size() + plan.publish.size());
    const int total = static_cast<int>(existing.size() + means.size());
    ASSERT_EQ(left, std::min(total, std::max(capacity, pinned)));
    ASSERT_TRUE(std::is_sorted(plan.drop.begin(), plan.drop.end()));
    std::int64_t lowest_left = 1000;
    std::int64_t highest_gone = -1;
    std::size_t dropped = 0;
    for (const BandPage& page : existing) {
      if (std::binary_search(plan.drop.begin(), plan.drop.end(), page.page)) {
        ASSERT_FALSE(page.pinned);
        highest_gone = std::max(highest_gone, page.mean_information);
        ++dropped;
      } else if (!page.pinned) {
        lowest_left = std::min(lowest_left, page.mean_information);
      }
    }
    ASSERT_EQ(dropped, plan.drop.size());
    auto remaining = means;
    for (const NewPage& page : plan.publish) {
      lowest_left = std::min(lowest_left, page.mean_information);
      remaining.erase(std::find(remaining.begin(), remaining.end(), page.mean_information));
    }
    for (const std::int32_t mean : remaining)
      highest_gone = std::max<std::int64_t>(highest_gone, mean);
    ASSERT_LE(highest_gone, lowest_left);
  }
}

}  // namespace
}  // namespace pinboard::scheduler
