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

static_assert(kAttentionFractionBits < std::numeric_limits<std::int32_t>::digits,
              "the whole attention of all heads fits int32");

TEST(FixedPointTest, TheWholeAttentionOfAllHeadsIsOne) {
  EXPECT_EQ(ToFixed32(1.0, kAttentionFractionBits), std::int32_t{1} << kAttentionFractionBits);
}

TEST(FixedPointTest, TheLargestInformationFitsInt32) {
  const double largest = (2.0 + 8.0) * std::log(512.0);
  const auto limit = static_cast<double>(std::numeric_limits<std::int32_t>::max());
  EXPECT_LT(std::ldexp(largest, kInformationFractionBits), limit);
  const double back =
      FromFixed(ToFixed32(largest, kInformationFractionBits), kInformationFractionBits);
  EXPECT_LE(std::abs(back - largest), std::ldexp(kHalf, -kInformationFractionBits));
}

TEST(FixedPointTest, MergedAttentionIsWithinTheBoundOfTheExactSum) {
  std::mt19937_64 random(TestSeed());
  for (int ranks : {1, 2, 4, 8}) {
    std::uniform_real_distribution<double> share(0.0, 1.0 / ranks);
    for (int trial = 0; trial < 2000; ++trial) {
      std::vector<double> shares(ranks);
      long double exact = 0;
      for (double& value : shares) exact += value = share(random);
      std::int32_t merged = 0;
      for (const double value : shares) merged += ToFixed32(value, kAttentionFractionBits);
      const double error =
          std::abs(FromFixed(merged, kAttentionFractionBits) - static_cast<double>(exact));
      ASSERT_LE(error, ranks * std::ldexp(1.0, -31) + 1e-15);
    }
  }
}

static_assert(kScoreFractionBits > kAttentionFractionBits &&
                  kScoreFractionBits > kInformationFractionBits,
              "scores keep more digits than what they are computed of");

TEST(FixedPointTest, RoundsBeyondInt32LikeWithinIt) {
  constexpr double kOdd = 4294967297.0;  // 2^32 + 1
  EXPECT_EQ(ToFixed64(kOdd, 0), (std::int64_t{1} << 32) + 1);
  EXPECT_EQ(ToFixed64(kOdd / 2, 0), (std::int64_t{1} << 31) + 1);
  EXPECT_EQ(ToFixed64(-kOdd / 2, 0), -(std::int64_t{1} << 31) - 1);
}

}  // namespace
}  // namespace pinboard
