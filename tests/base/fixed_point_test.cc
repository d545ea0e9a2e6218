// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/fixed_point.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/seeded_random.h"

namespace pinboard {
namespace {

constexpr double kHalf = 0.5;

TEST(FixedPointTest, RoundsToTheNearestAndHalvesAwayFromZero) {
  EXPECT_EQ(ToFixed32(0.25, 2), 1);
  EXPECT_EQ(ToFixed32(0.374, 2), 1);
  EXPECT_EQ(ToFixed32(0.375, 2), 2);
  EXPECT_EQ(ToFixed32(-0.375, 2), -2);
  EXPECT_EQ(FromFixed(3, 2), 0.75);
}

TEST(FixedPointTest, TheWholeAttentionOfAllHeadsFitsInt32) {
  EXPECT_EQ(ToFixed32(1.0, kAttentionFractionBits), std::int32_t{1} << kAttentionFractionBits);
  EXPECT_LT(std::ldexp(1.0, kAttentionFractionBits), std::numeric_limits<std::int32_t>::max());
}

TEST(FixedPointTest, TheLargestInformationFitsInt32) {
  const double largest = (2.0 + 8.0) * std::log(512.0);
  const auto limit = static_cast<double>(std::numeric_limits<std::int32_t>::max());
  EXPECT_LT(std::ldexp(largest, kInformationFractionBits), limit);
  const double back =
      FromFixed(ToFixed32(largest, kInformationFractionBits), kInformationFractionBits);
  EXPECT_LE(std::abs(back - largest), std::ldexp(kHalf, -kInformationFractionBits));
}

TEST(FixedPointTest, MergedAttentionIsWithinTheBoundOfTheExactSumAndTheSameInEveryOrder) {
  std::mt19937_64 random(TestSeed());
  for (int ranks : {1, 2, 4, 8}) {
    std::uniform_real_distribution<double> share(0.0, 1.0 / ranks);
    for (int trial = 0; trial < 2000; ++trial) {
      std::vector<double> shares(ranks);
      long double exact = 0;
      for (double& value : shares) exact += value = share(random);
      std::int32_t forward = 0;
      std::int32_t backward = 0;
      for (int i = 0; i < ranks; ++i) {
        forward += ToFixed32(shares[i], kAttentionFractionBits);
        backward += ToFixed32(shares[ranks - 1 - i], kAttentionFractionBits);
      }
      ASSERT_EQ(forward, backward);
      const double error =
          std::abs(FromFixed(forward, kAttentionFractionBits) - static_cast<double>(exact));
      ASSERT_LE(error, ranks * std::ldexp(1.0, -31) + 1e-15);
    }
  }
}

TEST(FixedPointTest, ScoresKeepMoreDigitsThanTheirInputs) {
  EXPECT_EQ(ToFixed64(1.0, kScoreFractionBits), std::int64_t{1} << kScoreFractionBits);
  EXPECT_GT(kScoreFractionBits, kAttentionFractionBits);
}

}  // namespace
}  // namespace pinboard
