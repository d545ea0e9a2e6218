// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of Fuse must do. Fuse is any callable with its signature.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/fixed_point.h"
#include "kernels/influence/influence.h"
#include "tests/support/seeded_random.h"

namespace pinboard::kernels::checks {

struct FuseInput {
  std::vector<std::int32_t> attention;
  std::vector<std::int32_t> information;
  std::vector<std::int32_t> positions;
  InformationTotals totals;

  FuseArgs args(ScoreRule rule, double alpha) const {
    return {rule, alpha, /*seed=*/7, /*layer=*/3, attention, information, positions, totals};
  }
};

inline FuseInput RandomFuseInput(SeededRandom& random, int rows, int dropped) {
  FuseInput in;
  const auto information = [&] {
    return ToFixed32(random.Uniform(0.0, 12.0), kInformationFractionBits);
  };
  for (int r = 0; r < rows; ++r) {
    in.attention.push_back(ToFixed32(random.Uniform(0.0, 2.0 / rows), kAttentionFractionBits));
    in.information.push_back(information());
    in.positions.push_back(r == 0 ? 0 : in.positions.back() + random.Int(1, 3));
  }
  std::vector<std::int32_t> gone;
  for (int r = 0; r < dropped; ++r) gone.push_back(information());
  in.totals.Add(gone);
  in.totals.Add(in.information);
  return in;
}

template <typename FuseFn>
std::vector<std::int64_t> FuseAll(FuseFn fuse, const FuseArgs& args, std::size_t rows) {
  std::vector<std::int64_t> score(rows);
  const absl::Status status = fuse(args, absl::MakeSpan(score));
  EXPECT_TRUE(status.ok()) << status;
  return score;
}

/// The published fusion in long double, within the rounding of the result and of exp.
template <typename FuseFn>
void ExpectPublishedFusion(FuseFn fuse, const FuseInput& in, double alpha,
                           const std::vector<std::int32_t>& all_information) {
  long double exp_sum = 0;
  for (const std::int32_t e : all_information)
    exp_sum += std::exp(std::ldexp(static_cast<long double>(e), -25));
  const auto score = FuseAll(fuse, in.args(ScoreRule::kPublished, alpha), in.attention.size());
  for (std::size_t r = 0; r < score.size(); ++r) {
    const long double a = std::ldexp(static_cast<long double>(in.attention[r]), -30);
    const long double e = std::ldexp(static_cast<long double>(in.information[r]), -25);
    const long double exact = alpha * a + (1 - alpha) * std::exp(e) / exp_sum;
    ASSERT_NEAR(FromFixed(score[r], kScoreFractionBits), static_cast<double>(exact), 0x1p-40) << r;
  }
}

template <typename FuseFn>
void ExpectMaxNormalisedFusion(FuseFn fuse, const FuseInput& in, double alpha) {
  const auto score = FuseAll(fuse, in.args(ScoreRule::kMaxNormalised, alpha), in.attention.size());
  const long double max_a = *std::max_element(in.attention.begin(), in.attention.end());
  const long double max_e = in.totals.max;
  for (std::size_t r = 0; r < score.size(); ++r) {
    const long double exact = alpha * (max_a > 0 ? in.attention[r] / max_a : 0) +
                              (1 - alpha) * (max_e > 0 ? in.information[r] / max_e : 0);
    ASSERT_NEAR(FromFixed(score[r], kScoreFractionBits), static_cast<double>(exact), 0x1p-40) << r;
  }
}

}  // namespace pinboard::kernels::checks
