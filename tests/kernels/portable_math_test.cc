// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/portable_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace pinboard::kernels {
namespace {

/// |value - exact| in units of the last place of `exact` in type T.
template <typename T>
double Ulps(T value, long double exact) {
  const int exponent = std::ilogb(static_cast<T>(exact));
  const long double ulp = std::ldexp(1.0L, exponent - (std::numeric_limits<T>::digits - 1));
  return static_cast<double>(std::abs(static_cast<long double>(value) - exact) / ulp);
}

TEST(PortableMathTest, ExpOfNonPositiveIsWithinItsStatedError) {
  double worst = 0;
  for (float x = 0.0F; x >= -87.0F; x -= 1e-4F) {
    worst = std::max(worst, Ulps(ExpOfNonPositive(x), std::exp(static_cast<long double>(x))));
  }
  for (float x = -1e-30F; x > -1.0F; x *= 1.01F) {
    worst = std::max(worst, Ulps(ExpOfNonPositive(x), std::exp(static_cast<long double>(x))));
  }
  EXPECT_LE(worst, 1.2);
}

TEST(PortableMathTest, ExpOfNonPositiveGivesOneZeroAndNanAtItsEnds) {
  EXPECT_EQ(ExpOfNonPositive(0.0F), 1.0F);
  EXPECT_EQ(ExpOfNonPositive(-0.0F), 1.0F);
  EXPECT_EQ(ExpOfNonPositive(-87.5F), 0.0F);
  EXPECT_EQ(ExpOfNonPositive(-std::numeric_limits<float>::infinity()), 0.0F);
  EXPECT_TRUE(std::isnan(ExpOfNonPositive(std::nanf(""))));
}

TEST(PortableMathTest, ExpIsWithinItsStatedError) {
  double worst = 0;
  for (double x = -707.9; x < 709.0; x += 1.37e-3) {
    worst = std::max(worst, Ulps(Exp(x), std::exp(static_cast<long double>(x))));
  }
  EXPECT_LE(worst, 1.2);
  EXPECT_EQ(Exp(0.0), 1.0);
  EXPECT_EQ(Exp(-1000.0), 0.0);
  EXPECT_TRUE(std::isinf(Exp(1000.0)));
}

TEST(PortableMathTest, LogIsWithinItsStatedError) {
  double worst = 0;
  for (double x = 1e-300; x < 1e300; x *= 1.0137) {
    worst = std::max(worst, Ulps(Log(x), std::log(static_cast<long double>(x))));
  }
  for (double x = 0.5; x < 2.0; x += 1e-5) {
    if (x != 1.0) worst = std::max(worst, Ulps(Log(x), std::log(static_cast<long double>(x))));
  }
  EXPECT_LE(worst, 2.0);
  EXPECT_EQ(Log(1.0), 0.0);
}

}  // namespace
}  // namespace pinboard::kernels
