// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/trend.h"

#include <gtest/gtest.h>

namespace pinboard::testing {
namespace {

const std::vector<double> kSeconds = {0, 1, 2, 3, 4, 5, 6, 7};

TEST(TrendTest, ALineIsFoundWithoutError) {
  const Trend trend = FitTrend(kSeconds, {10, 12, 14, 16, 18, 20, 22, 24});
  EXPECT_DOUBLE_EQ(trend.slope, 2);
  EXPECT_NEAR(trend.slope_error, 0, 1e-9);
  EXPECT_DOUBLE_EQ(trend.growth(), 14);
  EXPECT_FALSE(trend.flat());
}

TEST(TrendTest, WhatGoesUpAndDownIsFlatAndWhatOnlyFallsToo) {
  EXPECT_TRUE(FitTrend(kSeconds, {10, 30, 10, 30, 10, 30, 10, 30}).flat());
  EXPECT_TRUE(FitTrend(kSeconds, {24, 22, 20, 18, 16, 14, 12, 10}).flat());
  EXPECT_TRUE(FitTrend(kSeconds, {7, 7, 7, 7, 7, 7, 7, 7}).flat());
}

}  // namespace
}  // namespace pinboard::testing
