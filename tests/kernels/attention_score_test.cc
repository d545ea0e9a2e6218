// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention_score/attention_score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/attention_score/attention_score_tuning.h"
#include "kernels/page_transfer/page_transfer.h"
#include "kernels/splitmix64.h"
#include "tests/kernels/checks/attention_score_checks.h"

namespace pinboard::kernels {
namespace {

using checks::AttentionInput;

class AttentionScoreTest : public testing::TestWithParam<CacheCase> {};

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionScoreTest, testing::ValuesIn(AllCacheCases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(AttentionScoreTest, MergesOverRanksWithinTheBoundOfTheExactAttention) {
  SeededRandom random;
  for (int trial = 0; trial < 6; ++trial) {
    checks::ExpectMergeWithinItsBound(AttentionScore,
                                      checks::RandomAttentionInput(GetParam(), random));
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionScoreTest, MergesWithinTheSameBoundWhereLogSumExpsAreGiven) {
  SeededRandom random;
  for (int trial = 0; trial < 6; ++trial) {
    AttentionInput in = checks::RandomAttentionInput(GetParam(), random);
    in.log_sum_exp = checks::LogSumExps(in);
    checks::ExpectMergeWithinItsBound(AttentionScore, in);
    checks::ExpectGivenSumsToCountRowsThatAreGone(AttentionScore, in);
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionScoreTest, RefusesLogSumExpsThatCannotBe) {
  SeededRandom random;
  const auto status_of = [](const AttentionInput& in) {
    checks::RankTensors tensors;
    std::vector<std::int32_t> out(in.order.size());
    return AttentionScore(in.Rank(0, 1, tensors), absl::MakeSpan(out));
  };
  checks::ExpectRefusedLogSumExps(status_of, checks::RandomAttentionInput(GetParam(), random));
}

/// One head of one dimension, one row a position, keys as given.
AttentionInput Line(const std::vector<float>& keys, std::vector<std::int32_t> query_positions) {
  SeededRandom random;
  AttentionInput in({"Line", {1, 1, 1, false, DType::kF32}, 16, CacheLayout::kNhd},
                    static_cast<int>(keys.size()), random);
  for (std::size_t r = 0; r < keys.size(); ++r) in.cache.SetKey(static_cast<int>(r), 0, 0, keys[r]);
  in.row_positions.resize(keys.size());
  std::iota(in.row_positions.begin(), in.row_positions.end(), 0);
  in.SortRows();
  in.queries.assign(query_positions.size(), 1.0F);
  in.query_positions = std::move(query_positions);
  in.query_heads = 1;
  return in;
}

std::vector<double> Shares(const AttentionInput& in) {
  std::vector<double> shares;
  for (const std::int32_t fixed : checks::MergedAttention(AttentionScore, in, 1)) {
    shares.push_back(FromFixed(fixed, kAttentionFractionBits));
  }
  return shares;
}

void ExpectShares(const AttentionInput& in, const std::vector<double>& expected) {
  const std::vector<double> shares = Shares(in);
  ASSERT_EQ(shares.size(), expected.size());
  for (std::size_t r = 0; r < shares.size(); ++r) EXPECT_NEAR(shares[r], expected[r], 1e-7) << r;
}

TEST(AttentionScoreTest, EqualsTheWorkedExampleOfTwoQueriesAndThreeRows) {
  // From position 1 two equal rows are seen, from position 2 three: means of 1/2, 1/2, 0 and
  // thirds.
  ExpectShares(Line({0, 0, 0}, {1, 2}), {5.0 / 12, 5.0 / 12, 1.0 / 6});
}

TEST(AttentionScoreTest, WeighsRowsByTheExponentialOfTheScaledProduct) {
  AttentionInput in = Line({0, 2 * std::log(2.0F), 2 * std::log(4.0F)}, {2});
  in.scale = 0.5F;
  ExpectShares(in, {1.0 / 7, 2.0 / 7, 4.0 / 7});
}

TEST(AttentionScoreTest, ScoresRingRowsWhereTheirPositionsStandAndOnlyWhereTheyAreSeen) {
  AttentionInput in = Line({0, 2 * std::log(2.0F), 0, std::log(2.0F)}, {5});
  in.ring_rows = 2;
  in.row_positions = {3, 9, 0, 5};  // the ring's second row lies in the query's future
  in.SortRows();
  ExpectShares(in, {1.0 / 4, 1.0 / 4, 1.0 / 2, 0.0});
}

TEST(AttentionScoreTest, PoolsInTheOrderOfPositionsWithZerosBeyondTheEnds) {
  AttentionInput in = Line({0, 0, 0, 0}, {3});
  in.pool = 3;
  ExpectShares(in, {1.0 / 6, 1.0 / 4, 1.0 / 4, 1.0 / 6});
  in.pool = 9;
  ExpectShares(in, {1.0 / 9, 1.0 / 9, 1.0 / 9, 1.0 / 9});
  AttentionInput ring = Line({0, 0, 0, -100}, {3});
  ring.pool = 3;
  ring.ring_rows = 1;
  ring.row_positions = {3, 0, 1, 2};  // the ring's row stands last, beside the one of no weight
  ring.SortRows();
  ExpectShares(ring, {2.0 / 9, 2.0 / 9, 2.0 / 9, 1.0 / 9});
}

TEST(AttentionScoreTest, GivesOneRowEverythingAndAnUnseenOneNothing) {
  ExpectShares(Line({0.5F}, {0}), {1.0});
  AttentionInput in = Line({0.5F}, {0, 1});
  in.row_positions = {1};  // the first query sees no row and adds nothing to the mean
  ExpectShares(in, {0.5});
}

TEST(AttentionScoreTest, TakesAGivenLogSumExpForTheSoftmaxsDenominator) {
  AttentionInput in = Line({0, std::log(2.0F)}, {0, 1});
  in.log_sum_exp = {std::log(4.0F), std::log(8.0F)};  // three and five rows at 0 are gone
  ExpectShares(in, {(1.0 / 4 + 1.0 / 8) / 2, 2.0 / 8 / 2});
  AttentionInput unseen = Line({0.5F}, {0, 1});
  unseen.row_positions = {1};  // attention over no row leaves -infinity
  unseen.log_sum_exp = {-std::numeric_limits<float>::infinity(), 0.5F};
  ExpectShares(unseen, {0.5});
}

TEST(AttentionScoreTest, SurvivesLogitsFarBeyondTheRangeOfExp) {
  ExpectShares(Line({-1e30F, 1e30F, 1e30F}, {2}), {0.0, 0.5, 0.5});
}

// Ranks may run on machines with other registers and builds with other compilers: all must give
// these integers.
TEST(AttentionScoreTest, GivesTheSameIntegersOnEveryBuild) {
  SeededRandom random;
  AttentionInput in({"Golden", {2, 24, 24, false, DType::kBF16}, 16, CacheLayout::kNhd}, 150,
                    random);
  std::uint64_t state = 0;
  const auto next = [&] {
    return static_cast<float>(static_cast<int>(SplitMix64(state++) % 65) - 32) / 16.0F;
  };
  for (int r = 0; r < 150; ++r) {
    for (int head = 0; head < 2; ++head) {
      for (int d = 0; d < 24; ++d) in.cache.SetKey(r, head, d, next());
    }
    in.row_positions.push_back(r);
  }
  in.SortRows();
  in.query_heads = 6;
  in.pool = 5;
  in.scale = 0.21F;
  for (int w = 100; w < 150; ++w) {
    in.query_positions.push_back(w);
    for (int i = 0; i < 6 * 24; ++i) in.queries.push_back(next());
  }
  const auto hash = [&] {
    const std::vector<std::int32_t> merged = checks::MergedAttention(AttentionScore, in, 1);
    return PageTag(absl::MakeConstSpan(reinterpret_cast<const std::byte*>(merged.data()),
                                       merged.size() * sizeof(merged[0])),
                   {});
  };
  EXPECT_EQ(hash(), 0x67472b86ca8e8029U);
  for (std::size_t i = 0; i < in.query_positions.size() * 6; ++i) {
    in.log_sum_exp.push_back(5.0F + static_cast<float>(i % 16) / 4.0F);
  }
  EXPECT_EQ(hash(), 0xcfbd02b98ed0a101U);
}

TEST(AttentionScoreTest, RefusesShapesThatDisagreeAndValuesThatAreNotFinite) {
  const auto code = [](const AttentionInput& in, auto change) {
    checks::RankTensors tensors;
    AttentionScoreArgs args = in.Rank(0, 1, tensors);
    change(args);
    std::vector<std::int32_t> out(args.row_positions.size());
    return AttentionScore(args, absl::MakeSpan(out)).code();
  };
  const auto refuses = [&](auto change) {
    return code(Line({0, 0, 0}, {1, 2}), change) == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refuses([](auto& args) { args.ring_rows = 4; }));
  EXPECT_TRUE(refuses([](auto& args) { args.order.remove_suffix(1); }));
  static constexpr std::int32_t kUnsorted[] = {1, 0, 2};
  static constexpr std::int32_t kTwice[] = {0, 1, 1};
  EXPECT_TRUE(refuses([](auto& args) { args.order = kUnsorted; }));
  EXPECT_TRUE(refuses([](auto& args) { args.order = kTwice; }));
  EXPECT_TRUE(refuses([](auto& args) { args.pool = 2; }));
  EXPECT_TRUE(refuses([](auto& args) { args.query_heads = 2; }));
  EXPECT_TRUE(refuses([](auto& args) { args.total_query_heads = 0; }));
  EXPECT_TRUE(refuses([](auto& args) { args.queries.remove_suffix(1); }));
  EXPECT_TRUE(refuses([](auto& args) { args.query_positions = {}; }));
  EXPECT_TRUE(refuses([](auto& args) { args.log_sum_exp = args.queries.first(1); }));
  EXPECT_TRUE(refuses([](auto& args) { args.block_table = {}; }));
  EXPECT_TRUE(refuses([](auto& args) { args.block_size = 0; }));
  EXPECT_TRUE(refuses([](auto& args) { args.cache.key.base = nullptr; }));
  EXPECT_TRUE(refuses([](auto& args) { args.shape.kv_heads = 0; }));
  const auto unchanged = [](auto&) {};
  AttentionInput descending = Line({0, 0}, {2});
  descending.row_positions = {1, 0};
  EXPECT_EQ(code(descending, unchanged), absl::StatusCode::kInvalidArgument);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(code(Line({0, kInfinity}, {1}), unchanged), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Line({0, std::nanf("")}, {1}), unchanged), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(refuses([](auto& args) { args.shape.dtype = DType::kF8DsMla; }));
}

TEST(AttentionRowsPerBlockTest, FillsWavesAndCoversAllRows) {
  EXPECT_EQ(AttentionRowsPerBlock(131'072, 8, 1024, 132), 8'192);     // 128 blocks at once
  EXPECT_EQ(AttentionRowsPerBlock(32'768, 8, 1024, 132), 2'048);      // likewise
  EXPECT_EQ(AttentionRowsPerBlock(131'072, 4, 2048, 132), 4'096);     // likewise
  EXPECT_EQ(AttentionRowsPerBlock(3'000, 10'000, 1024, 132), 3'072);  // many problems: whole ones
  EXPECT_EQ(AttentionRowsPerBlock(1, 1, 2048, 132), 2'048);
}

}  // namespace
}  // namespace pinboard::kernels
