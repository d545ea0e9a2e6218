// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/layer_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seeded_random.h"

namespace pinboard::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(LayerBudgets, UniformIsTheSameInEveryLayer) {
  EXPECT_THAT(LayerBudgets(LayerShare::kUniform, {3, 100, 20, 1000}, {}),
              ElementsAre(100, 100, 100));
}

TEST(LayerBudgets, APyramidFallsByEqualStepsToATwentiethOfTheMean) {
  // 100 rows besides 20 protected ones: 195, 147.5, 100, 52.5, 5.
  EXPECT_THAT(LayerBudgets(LayerShare::kPyramid, {5, 120, 20, 1000}, {}),
              ElementsAre(215, 168, 120, 72, 25));
}

TEST(LayerBudgets, APyramidIsLessSteepWhereTheFirstLayerHasNoMoreRows) {
  // Besides the protected rows the mean is 100 and no layer has more than 150: 150, 100, 50.
  EXPECT_THAT(LayerBudgets(LayerShare::kPyramid, {3, 120, 20, 170}, {}), ElementsAre(170, 120, 70));
}

TEST(LayerBudgets, APyramidOfOneLayerOrOfProtectedRowsAloneIsUniform) {
  EXPECT_THAT(LayerBudgets(LayerShare::kPyramid, {1, 120, 20, 1000}, {}), ElementsAre(120));
  EXPECT_THAT(LayerBudgets(LayerShare::kPyramid, {2, 20, 20, 1000}, {}), ElementsAre(20, 20));
}

TEST(LayerBudgets, AdaptiveSharesGoByInformation) {
  // 300 rows by 5 : 3 : 2.
  EXPECT_THAT(LayerBudgets(LayerShare::kAdaptive, {3, 100, 20, 1000}, {50, 30, 20}),
              ElementsAre(150, 90, 60));
  // 100 rows by 1 : 1 : 1 are 33.3 each: the row left over goes to the lowest layer.
  EXPECT_THAT(LayerBudgets(LayerShare::kAdaptive, {4, 25, 0, 1000}, {7, 7, 7, 0}),
              ElementsAre(34, 33, 33, 0));
}

TEST(LayerBudgets, AdaptiveLayersKeepTheirProtectedRowsAndTheOthersShareTheRest) {
  // 300 rows by 8 : 1 : 1 would be 240, 30, 30; with 50 protected, 200 are left for the first.
  EXPECT_THAT(LayerBudgets(LayerShare::kAdaptive, {3, 100, 50, 1000}, {8, 1, 1}),
              ElementsAre(200, 50, 50));
}

TEST(LayerBudgets, WithoutInformationAdaptiveIsUniform) {
  EXPECT_THAT(LayerBudgets(LayerShare::kAdaptive, {3, 100, 50, 1000}, {0, 0, 0}),
              ElementsAre(100, 100, 100));
}

TEST(LayerBudgets, TheTotalIsKeptWhateverTheShares) {
  SeededRandom random;
  std::uniform_int_distribution<std::int64_t> weight(0, std::int64_t{1} << 52);
  for (int trial = 0; trial < 500; ++trial) {
    const int layers = random.Int(1, 80);
    const int guarded = random.Int(0, 200);
    const int keep = guarded + random.Int(0, 5000);
    const LayerDemand demand{layers, keep, guarded, keep + random.Int(0, 9000)};
    std::vector<std::int64_t> information(layers);
    for (auto& value : information) value = weight(random.engine());
    for (const LayerShare share : {LayerShare::kPyramid, LayerShare::kAdaptive}) {
      const std::vector<int> budgets = LayerBudgets(share, demand, information);
      EXPECT_EQ(std::accumulate(budgets.begin(), budgets.end(), std::int64_t{0}),
                std::int64_t{layers} * keep);
      EXPECT_GE(*std::min_element(budgets.begin(), budgets.end()), guarded);
    }
    const std::vector<int> pyramid = LayerBudgets(LayerShare::kPyramid, demand, information);
    EXPECT_TRUE(std::is_sorted(pyramid.rbegin(), pyramid.rend())) << "wide at the bottom";
    EXPECT_LE(pyramid.front(), demand.length);
  }
}

TEST(LayerBudgets, NamesAreReadAndUnknownOnesRefused) {
  for (const char* name : {"uniform", "pyramid", "adaptive"}) {
    EXPECT_STREQ(LayerShareName(*ParseLayerShare(name)), name);
  }
  EXPECT_EQ(*ParseKeepScope("global"), KeepScope::kGlobal);
  EXPECT_THAT(Message(ParseLayerShare("cone").status()),
              HasSubstr("'cone': use uniform, pyramid or adaptive"));
  EXPECT_THAT(Message(ParseKeepScope("head").status()), HasSubstr("'head': use layer or global"));
}

TEST(LayerBudgets, UnequalCountsNeedATableALayerAndASetALayer) {
  EXPECT_TRUE(CheckLayerShare(LayerShare::kUniform, KeepScope::kGlobal, false).ok());
  EXPECT_TRUE(CheckLayerShare(LayerShare::kPyramid, KeepScope::kLayer, true).ok());
  EXPECT_THAT(Message(CheckLayerShare(LayerShare::kPyramid, KeepScope::kLayer, false)),
              HasSubstr("pyramid budgets keep unequal counts, and the layers share a block table"));
  EXPECT_THAT(Message(CheckLayerShare(LayerShare::kAdaptive, KeepScope::kGlobal, true)),
              HasSubstr("scope global one set for all layers"));
}

}  // namespace
}  // namespace pinboard::scheduler
