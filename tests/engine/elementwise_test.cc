// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/elementwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace pinboard::engine {
namespace {

std::vector<float> Random(int count, float spread, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> uniform(-spread, spread);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random);
  return values;
}

TEST(ElementwiseTest, ExponentiatedRowsAreASoftmaxAtEveryLength) {
  for (int count = 1; count < 70; ++count) {
    const std::vector<float> logits = Random(count, 30, count);
    std::vector<float> row = logits;
    const auto [inverse, log_sum_exp] = ExponentiateRow(row.data(), count);
    const float highest = *std::max_element(logits.begin(), logits.end());
    const auto exponential = [&](float logit) {
      return std::exp(static_cast<double>(logit - highest));  // the gap is taken in float
    };
    double sum = 0;
    for (const float logit : logits) sum += exponential(logit);
    EXPECT_NEAR(log_sum_exp, highest + std::log(sum), 1e-5 * (1 + std::abs(highest)));
    for (int i = 0; i < count; ++i) {
      const double expected = exponential(logits[i]) / sum;
      EXPECT_NEAR(row[i] * inverse, expected, 1e-6 * expected + 1e-30);
    }
  }
}

TEST(ElementwiseTest, LogitsFarBelowTheMaximumVanish) {
  std::vector<float> row = {0, -1000, -88, 1e30F};
  const float inverse = ExponentiateRow(row.data(), 4).inverse;
  EXPECT_EQ(row[3] * inverse, 1.0F);
  EXPECT_LT(row[0], 1e-37F);
}

TEST(ElementwiseTest, SiluMatchesItsDefinitionOverTheWholeRange) {
  for (const float spread : {3.0F, 80.0F, 1000.0F}) {
    std::vector<float> gate = Random(333, spread, 1);
    const std::vector<float> before = gate, up = Random(333, 2, 2);
    SiluTimes(up.data(), gate.size(), gate.data());
    for (std::size_t i = 0; i < gate.size(); ++i) {
      const double x = before[i], expected = x / (1 + std::exp(-x)) * up[i];
      EXPECT_NEAR(gate[i], expected, 1e-6 * std::abs(expected) + 1e-30) << x;
    }
  }
}

TEST(ElementwiseTest, RmsNormMayWorkInPlace) {
  std::vector<float> x = {3, 4};
  const std::vector<float> weight = {2, 1};
  RmsNorm(x.data(), weight.data(), 0.0, 2, x.data());
  EXPECT_NEAR(x[0], 6 / std::sqrt(12.5), 1e-6);
  EXPECT_NEAR(x[1], 4 / std::sqrt(12.5), 1e-6);
}

}  // namespace
}  // namespace pinboard::engine
