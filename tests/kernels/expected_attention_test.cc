// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/expected_attention/expected_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/checks/expected_attention_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

using checks::ExpectedInput;

class ExpectedAttentionTest : public testing::TestWithParam<CacheCase> {};

INSTANTIATE_TEST_SUITE_P(Shapes, ExpectedAttentionTest, testing::ValuesIn(AllCacheCases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(ExpectedAttentionTest, MergesOverRanksToTheFormulaOfMeanAndCovariance) {
  SeededRandom random;
  for (int trial = 0; trial < 3; ++trial) {
    checks::ExpectExpectedAttentionMerges(under_test::ExpectedAttention,
                                          checks::RandomExpectedInput(GetParam(), random));
    if (HasFatalFailure()) return;
  }
}

/// One head of two dimensions, values of length 1, window queries as given at the last positions.
ExpectedInput Plane(const std::vector<std::pair<float, float>>& keys,
                    const std::vector<std::pair<float, float>>& queries) {
  SeededRandom random;
  ExpectedInput in({"Plane", {1, 2, 1, false, DType::kF32}, 16, CacheLayout::kNhd},
                   static_cast<int>(keys.size()), random);
  for (int r = 0; r < static_cast<int>(keys.size()); ++r) {
    in.cache.SetKey(r, 0, 0, keys[r].first);
    in.cache.SetKey(r, 0, 1, keys[r].second);
    in.cache.SetValue(r, 0, 0, 1.0F);
  }
  in.query_heads = 1;
  for (const auto& [x, y] : queries) {
    in.query_positions.push_back(in.next_position++);
    in.queries.push_back(x);
    in.queries.push_back(y);
  }
  return in;
}

void ExpectShares(const ExpectedInput& in, const std::vector<double>& expected) {
  std::vector<float> queries;
  std::vector<std::int32_t> out(in.order.size());
  ASSERT_TRUE(under_test::ExpectedAttention(in.Rank(0, 1, queries), absl::MakeSpan(out)).ok());
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_NEAR(FromFixed(out[i], kAttentionFractionBits), expected[i], 1e-6) << i;
  }
}

TEST(ExpectedAttentionTest, IsTheMeanLogitAndHalfItsVariance) {
  // Logits of row 1: ln 2 twice, so z = ln 2; of row 2: 1 and -1, so z = 1/2.
  const float ln2 = std::log(2.0F);
  const double e = std::exp(0.5);
  ExpectShares(Plane({{0, 0}, {ln2, 0}, {0, 1}}, {{1, 1}, {1, -1}}),
               {1 / (3 + e), 2 / (3 + e), e / (3 + e)});
}

TEST(ExpectedAttentionTest, WeighsRowsByTheirValuesAgainstTheLargest) {
  ExpectedInput in = Plane({{0, 0}, {0, 0}}, {{1, 1}});
  in.cache.SetValue(0, 0, 0, -2.0F);
  in.cache.SetValue(1, 0, 0, 0.5F);
  ExpectShares(in, {1.0 / 2, 1.0 / 8});
  in.order = {1, 0};
  ExpectShares(in, {1.0 / 8, 1.0 / 2});
}

TEST(ExpectedAttentionTest, TurnsQueriesToTheMeanOfThePositionsToCome) {
  // Half a turn each position: seen from the even number of positions to come nothing is left of a
  // query. At a billionth of a turn it stays as it is.
  ExpectedInput fast = Plane({{0, 0}, {3, 0}}, {{1, 0}});
  fast.rotary.frequencies = {std::acos(-1.0)};
  ExpectShares(fast, {0.5, 0.5});
  ExpectedInput slow = Plane({{0, 0}, {3, 0}}, {{1, 0}});
  slow.rotary.frequencies = {1e-9};
  ExpectShares(slow, {1 / (1 + std::exp(3.0)), 1 / (1 + std::exp(-3.0))});
}

TEST(ExpectedAttentionTest, EqualsTheSpecificationWithinAHundredThousandthOfAShare) {
  SeededRandom random;
  for (const CacheCase& c : AllCacheCases()) {
    SCOPED_TRACE(c.name);
    ExpectedInput in = checks::RandomExpectedInput(c, random);
    in.rotary.interleaved = random.OneIn(2);
    std::vector<float> queries;
    std::vector<std::int32_t> out(in.order.size());
    std::vector<std::int32_t> specified(in.order.size());
    ASSERT_TRUE(under_test::ExpectedAttention(in.Rank(0, 1, queries), absl::MakeSpan(out)).ok());
    ASSERT_TRUE(ExpectedAttention(in.Rank(0, 1, queries), absl::MakeSpan(specified)).ok());
    for (std::size_t i = 0; i < out.size(); ++i) {
      ASSERT_NEAR(out[i], specified[i], 1 + specified[i] * 1e-5) << i;
    }
  }
}

TEST(ExpectedAttentionTest, RefusesShapesThatDisagreeAndValuesThatAreNotFinite) {
  const auto code = [](const ExpectedInput& in, auto change) {
    std::vector<float> queries;
    ExpectedAttentionArgs args = in.Rank(0, 1, queries);
    change(args);
    std::vector<std::int32_t> out(2);
    return ExpectedAttention(args, absl::MakeSpan(out)).code();
  };
  const auto refuses = [&](auto change) {
    return code(Plane({{0, 0}, {0, 1}}, {{1, 1}}), change) == absl::StatusCode::kInvalidArgument;
  };
  const auto unchanged = [](auto&) {};
  static constexpr std::int32_t kTwice[] = {1, 1};
  EXPECT_FALSE(refuses(unchanged));
  EXPECT_TRUE(refuses([](auto& args) { args.order = kTwice; }));
  EXPECT_TRUE(refuses([](auto& args) { args.order.remove_suffix(1); }));
  EXPECT_TRUE(refuses([](auto& args) { args.queries.remove_suffix(1); }));
  EXPECT_TRUE(refuses([](auto& args) { args.query_positions = {}; }));
  EXPECT_TRUE(refuses([](auto& args) { args.total_query_heads = 0; }));
  EXPECT_TRUE(refuses([](auto& args) { args.block_table = {}; }));
  EXPECT_TRUE(refuses([](auto& args) { args.cache.value.base = nullptr; }));
  ExpectedInput wide = Plane({{0, 0}, {0, 1}}, {{1, 1}});
  wide.rotary.frequencies = {1.0, 0.5};
  EXPECT_EQ(code(wide, unchanged), absl::StatusCode::kInvalidArgument);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto refuses_values = [&](const ExpectedInput& in) {
    std::vector<float> queries;
    std::vector<std::int32_t> out(2);
    return under_test::ExpectedAttention(in.Rank(0, 1, queries), absl::MakeSpan(out)).code() ==
           absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refuses_values(Plane({{0, 0}, {kInfinity, 0}}, {{1, 1}})));
  EXPECT_TRUE(refuses_values(Plane({{0, 0}, {1, 0}}, {{std::nanf(""), 1}})));
  ExpectedInput infinite = Plane({{0, 0}, {0, 1}}, {{1, 1}});
  infinite.cache.SetValue(1, 0, 0, kInfinity);
  EXPECT_TRUE(refuses_values(infinite));
}

}  // namespace
}  // namespace pinboard::kernels
