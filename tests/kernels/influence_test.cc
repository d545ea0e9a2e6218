// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/influence/influence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/fixed_point.h"
#include "kernels/splitmix64.h"
#include "tests/kernels/checks/influence_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

using checks::FuseAll;
using checks::FuseInput;

std::int32_t E(double value) { return ToFixed32(value, kInformationFractionBits); }
std::int32_t A(double value) { return ToFixed32(value, kAttentionFractionBits); }
InformationTotals Totals(double exp_sum, std::int32_t max) {
  InformationTotals totals{{}, max};
  totals.exp_sum.Add(exp_sum);
  return totals;
}
double Score(std::int64_t score) { return FromFixed(score, kScoreFractionBits); }

TEST(InformationTest, IsShiftPlusTauTimesEntropyWithinHalfAStep) {
  std::vector<std::int32_t> out(3);
  ASSERT_TRUE(
      under_test::Information({0.5F, 0.0F, 2.0F}, {2.0F, 1.5F, 0.0F}, 1.0, absl::MakeSpan(out))
          .ok());
  EXPECT_EQ(out, (std::vector<std::int32_t>{E(3.0), E(1.5), 0}));

  SeededRandom random;
  for (int trial = 0; trial < 2000; ++trial) {
    const auto shift = static_cast<float>(random.Uniform(0, 2));
    const auto entropy = static_cast<float>(random.Uniform(0, std::log(512.0)));
    const double tau = random.Uniform(0, 8);
    std::int32_t fixed = 0;
    ASSERT_TRUE(under_test::Information({shift}, {entropy}, tau, absl::MakeSpan(&fixed, 1)).ok());
    const long double exact = (static_cast<long double>(shift) + tau) * entropy;
    ASSERT_LE(std::abs(FromFixed(fixed, kInformationFractionBits) - static_cast<double>(exact)),
              0x1p-26 + 1e-14);
  }
}

TEST(InformationTest, RefusesSizesThatDisagreeAndValuesThatDoNotFit) {
  std::vector<std::int32_t> out(1);
  const auto span = absl::MakeSpan(out);
  EXPECT_EQ(under_test::Information({1.0F, 1.0F}, {1.0F}, 1.0, span).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(under_test::Information({1.0F}, {64.0F}, 1.0, span).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(under_test::Information({0.0F}, {64.0F}, 1.0 - 0x1p-40, span).code(),
            absl::StatusCode::kInvalidArgument)
      << "rounds to 64";
  EXPECT_TRUE(under_test::Information({0.0F}, {63.99999F}, 1.0, span).ok());
  EXPECT_EQ(under_test::Information({1.0F}, {NAN}, 1.0, span).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(InformationTotalsTest, AddsExponentialsAndTheMaximumInAnyBatching) {
  InformationTotals at_once;
  under_test::AddInformation({E(0.0), E(1.0), E(2.0)}, at_once);
  EXPECT_NEAR(at_once.exp_sum.Value(), 1.0 + std::exp(1.0) + std::exp(2.0), 1e-14);
  EXPECT_EQ(at_once.max, E(2.0));
  EXPECT_EQ(at_once.sum, std::int64_t{E(1.0)} + E(2.0));
  InformationTotals in_parts;
  under_test::AddInformation({E(1.0), E(2.0)}, in_parts);
  under_test::AddInformation({}, in_parts);
  under_test::AddInformation({E(0.0)}, in_parts);
  EXPECT_EQ(in_parts.exp_sum.Value(), at_once.exp_sum.Value());
  EXPECT_EQ(in_parts.max, at_once.max);
  EXPECT_EQ(in_parts.sum, at_once.sum);
}

TEST(InformationTotalsTest, EqualsTheSumInLongDoubleAndTheCpusBits) {
  SeededRandom random;
  for (const double largest : {0.0, 1.0, 18.0, 63.9}) {
    std::vector<std::int32_t> information;
    long double exact = 0;
    for (int i = 0; i < 20'000; ++i) {
      information.push_back(E(random.Uniform(largest > 40 ? -largest : 0, largest)));
      exact += std::exp(std::ldexp(static_cast<long double>(information.back()), -25));
    }
    InformationTotals totals;
    under_test::AddInformation(information, totals);
    EXPECT_NEAR(totals.exp_sum.Value() / static_cast<double>(exact), 1.0, 0x1p-50);
    std::shuffle(information.begin(), information.end(), random.engine());
    InformationTotals shuffled;
    shuffled.Add(information);
    EXPECT_EQ(shuffled.exp_sum.Value(), totals.exp_sum.Value());
    EXPECT_EQ(shuffled.max, totals.max);
    EXPECT_EQ(shuffled.sum, totals.sum);
  }
}

TEST(InformationTotalsTest, HoldsTheLargestInformationOfAMillionTokens) {
  InformationTotals totals;
  under_test::AddInformation(std::vector<std::int32_t>(1 << 20, E(63.9)), totals);
  EXPECT_NEAR(totals.exp_sum.Value() / (0x1p20 * std::exp(FromFixed(E(63.9), 25))), 1.0, 1e-14);
}

TEST(FuseTest, EqualsTheWorkedExampleOfThePublishedRule) {
  // exp(E) = 1, 2, 1 of a total of 8: the other 4 belong to a dropped token.
  FuseInput in{
      {A(0.5), A(0.25), A(0.25)}, {E(0), E(std::log(2.0)), E(0)}, {0, 1, 2}, Totals(8.0, E(2.0))};
  const auto score = FuseAll(under_test::Fuse, in.args(ScoreRule::kPublished, 0.75), 3);
  EXPECT_NEAR(Score(score[0]), 0.375 + 0.25 * 0.125, 0x1p-41);
  EXPECT_NEAR(Score(score[1]), 0.1875 + 0.25 * 0.25, 0x1p-27);  // E is rounded to 2^-26
  EXPECT_NEAR(Score(score[2]), 0.1875 + 0.25 * 0.125, 0x1p-41);
}

TEST(FuseTest, EqualsTheWorkedExampleOfTheMaxNormalisedRule) {
  FuseInput in{{A(0.5), A(0.25), 0}, {E(1.0), E(2.0), E(4.0)}, {0, 1, 2}, Totals(100.0, E(8.0))};
  const auto score = FuseAll(under_test::Fuse, in.args(ScoreRule::kMaxNormalised, 0.5), 3);
  EXPECT_EQ(Score(score[0]), 0.5 * 1.0 + 0.5 * 0.125);
  EXPECT_EQ(Score(score[1]), 0.5 * 0.5 + 0.5 * 0.25);
  EXPECT_EQ(Score(score[2]), 0.5 * 0.5);
}

TEST(FuseTest, GivesZeroForTermsWhoseMaximumIsZero) {
  FuseInput in{{0, 0}, {E(1.0), E(2.0)}, {0, 1}, Totals(10.0, E(2.0))};
  EXPECT_EQ(Score(FuseAll(under_test::Fuse, in.args(ScoreRule::kMaxNormalised, 0.5), 2)[1]), 0.5);
  in.attention = {A(0.5), A(1.0)};
  in.information = {0, 0};
  in.totals.max = 0;
  EXPECT_EQ(Score(FuseAll(under_test::Fuse, in.args(ScoreRule::kMaxNormalised, 0.5), 2)[1]), 0.5);
}

TEST(FuseTest, EqualsTheFormulasOnRandomRows) {
  SeededRandom random;
  for (int trial = 0; trial < 100; ++trial) {
    FuseInput in = checks::RandomFuseInput(random, random.Int(1, 300), 0);
    std::vector<std::int32_t> all = in.information;
    std::vector<std::int32_t> gone;
    for (int i = random.Int(0, 50); i > 0; --i) gone.push_back(E(random.Uniform(0, 60)));
    all.insert(all.end(), gone.begin(), gone.end());
    in.totals.Add(gone);
    const double alpha = random.Pick<double>({0.0, 0.5, 0.7, 0.9, 1.0});
    checks::ExpectPublishedFusion(under_test::Fuse, in, alpha, all);
    checks::ExpectMaxNormalisedFusion(under_test::Fuse, in, alpha);
    if (HasFatalFailure()) return;
  }
}

TEST(FuseTest, ScalesTheSingleSignalsWithoutLoss) {
  FuseInput in{{A(0.25), 1}, {E(3.0), 1}, {5, 9}, Totals(1.0, E(3.0))};
  const auto attention = FuseAll(under_test::Fuse, in.args(ScoreRule::kAttention, 0.9), 2);
  EXPECT_EQ(attention, (std::vector<std::int64_t>{std::int64_t{1} << 38, 1 << 10}));
  const auto information = FuseAll(under_test::Fuse, in.args(ScoreRule::kInformation, 0.9), 2);
  EXPECT_EQ(information, (std::vector<std::int64_t>{std::int64_t{3} << 40, 1 << 15}));
  EXPECT_EQ(FuseAll(under_test::Fuse, in.args(ScoreRule::kRecency, 0.9), 2),
            (std::vector<std::int64_t>{5 << 15, 9 << 15}));
  EXPECT_EQ(FuseAll(under_test::Fuse, in.args(ScoreRule::kKeepAll, 0.9), 2),
            (std::vector<std::int64_t>{0, 0}));
}

TEST(FuseTest, RandomScoresAreTheDocumentedHashOfSeedLayerAndPosition) {
  // SplitMix64 itself: the first outputs of the published generator for seeds 0 and 1234567.
  EXPECT_EQ(SplitMix64(0), 0xe220a8397b1dcdafU);
  EXPECT_EQ(SplitMix64(1234567), 6457827717110365317U);

  FuseArgs args{ScoreRule::kRandom, 0.9, /*seed=*/42, /*layer=*/5};
  const std::vector<std::int32_t> positions = {0, 1, 1000};
  args.positions = positions;
  const auto score = FuseAll(under_test::Fuse, args, 3);
  for (std::size_t r = 0; r < score.size(); ++r) {
    const std::uint64_t hash =
        SplitMix64(SplitMix64(SplitMix64(42) + 5) + static_cast<std::uint64_t>(positions[r]));
    EXPECT_EQ(score[r], static_cast<std::int64_t>(hash >> 18U));
  }
  args.layer = 6;
  EXPECT_NE(FuseAll(under_test::Fuse, args, 3), score);
  args.layer = 5;
  args.seed = 43;
  EXPECT_NE(FuseAll(under_test::Fuse, args, 3), score);
}

TEST(FuseTest, NamesTheSignalThatARuleMisses) {
  const FuseInput in{{}, {E(1.0)}, {0}, Totals(2.0, E(1.0))};
  std::int64_t score = 0;
  const auto out = absl::MakeSpan(&score, 1);
  const absl::Status published = under_test::Fuse(in.args(ScoreRule::kPublished, 0.9), out);
  EXPECT_EQ(published.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(published.message()).find("attention"), std::string::npos);
  EXPECT_EQ(under_test::Fuse(in.args(ScoreRule::kAttention, 0.9), out).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(under_test::Fuse(in.args(ScoreRule::kInformation, 0.9), out).ok());

  const FuseInput without_totals{{A(1.0)}, {E(1.0)}, {0}, {}};
  EXPECT_EQ(under_test::Fuse(without_totals.args(ScoreRule::kPublished, 0.9), out).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(FuseTest, RefusesSizesThatDisagreeAndAlphaOutOfRange) {
  const FuseInput in{{A(1.0), 0}, {E(1.0)}, {0}, Totals(3.0, E(1.0))};
  std::int64_t score = 0;
  const auto out = absl::MakeSpan(&score, 1);
  EXPECT_EQ(under_test::Fuse(in.args(ScoreRule::kAttention, 0.9), out).code(),
            absl::StatusCode::kInvalidArgument);
  for (const double alpha : {-0.1, 1.1, std::nan("")}) {
    EXPECT_EQ(under_test::Fuse(in.args(ScoreRule::kInformation, alpha), out).code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(FuseTest, DistinctWeighsTheLargestAttentionAroundARowAgainstItsRedundancy) {
  FuseArgs args{.rule = ScoreRule::kDistinct, .alpha = 0.25};
  const std::vector<std::int32_t> attention = {A(0.5), 0, 0, 0, A(0.25), 0};
  const std::vector<std::int32_t> redundancy = {0, A(0.5), 0, 0, A(0.25), 0};
  args.attention = attention;
  std::vector<std::int64_t> score(6);
  EXPECT_EQ(under_test::Fuse(args, absl::MakeSpan(score)).code(),
            absl::StatusCode::kFailedPrecondition);
  args.redundancy = redundancy;
  ASSERT_TRUE(under_test::Fuse(args, absl::MakeSpan(score)).ok());
  // Row 0 is three rows from row 3 and four from row 4.
  const double expected[] = {0.125, 0.125 - 0.375, 0.125, 0.125, 0.0625 - 0.1875, 0.0625};
  for (int r = 0; r < 6; ++r) EXPECT_EQ(Score(score[r]), expected[r]) << r;
}

}  // namespace
}  // namespace pinboard::kernels
