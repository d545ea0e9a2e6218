// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/key_redundancy/key_redundancy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/checks/key_redundancy_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

using checks::RedundancyInput;

class KeyRedundancyTest : public testing::TestWithParam<CacheCase> {};

INSTANTIATE_TEST_SUITE_P(Shapes, KeyRedundancyTest, testing::ValuesIn(AllCacheCases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(KeyRedundancyTest, MergesOverRanksWithinTheBoundOfTheFormulaOverAllPairs) {
  SeededRandom random;
  int checked = 0;  // some draws have pairs too near the threshold, and decide nothing
  for (int trial = 0; trial < 3 || (checked == 0 && trial < 30); ++trial) {
    checked += checks::ExpectRedundancyMergesWithinItsBound(
                   under_test::KeyRedundancy, checks::RandomRedundancyInput(GetParam(), random))
                   ? 1
                   : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(checked, 0);
}

/// One head of two dimensions, one row a position, keys as given.
RedundancyInput Plane(const std::vector<std::pair<float, float>>& keys) {
  SeededRandom random;
  RedundancyInput in({"Plane", {1, 2, 2, false, DType::kF32}, 16, CacheLayout::kNhd},
                     static_cast<int>(keys.size()), random);
  for (std::size_t r = 0; r < keys.size(); ++r) {
    in.cache.SetKey(static_cast<int>(r), 0, 0, keys[r].first);
    in.cache.SetKey(static_cast<int>(r), 0, 1, keys[r].second);
  }
  return in;
}

void ExpectMeanCosines(const RedundancyInput& in, const std::vector<double>& means) {
  std::vector<std::int32_t> out(in.order.size());
  ASSERT_TRUE(under_test::KeyRedundancy(in.Rank(0, 1), absl::MakeSpan(out)).ok());
  double total = 0;
  for (const double mean : means) total += std::exp(mean);
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_NEAR(FromFixed(out[i], kAttentionFractionBits), std::exp(means[i]) / total, 1e-7) << i;
  }
}

TEST(KeyRedundancyTest, OfRowsThatSayTheSameTheLastIsNotRedundant) {
  // Rows 0, 1 and 3 point the same way. Rows 0 and 1 have row 3 as their last similar one, row 3
  // has row 1: of row 0 two rows count, of row 1 one, of row 3 none. Row 2 stands across.
  const RedundancyInput in = Plane({{1, 0}, {2, 0}, {0, 3}, {0.5F, 0}});
  ExpectMeanCosines(in, {2.0 / 4, 1.0 / 4, 0, 0});
}

TEST(KeyRedundancyTest, LastIsWhatThePositionsSayNotTheRows) {
  RedundancyInput in = Plane({{0.5F, 0}, {1, 0}, {2, 0}, {0, 3}});
  in.order = {1, 2, 3, 0};
  ExpectMeanCosines(in, {2.0 / 4, 1.0 / 4, 0, 0});
}

TEST(KeyRedundancyTest, ACosineOfLessThanAHalfOrNoneIsCounted) {
  // The first two keys have cosine 3/5 and are each other's last similar row; the third has cosine
  // 0 and 4/5 with them, so it is what the second retains, and retains the second.
  ExpectMeanCosines(Plane({{1, 0}, {3, 4}, {0, 1}}), {3.0 / 15, 0, 0});
  ExpectMeanCosines(Plane({{1, 0}, {-1, 0}}), {-0.5, -0.5});
  ExpectMeanCosines(Plane({{1, 0}, {0, 0}}), {0, 0});  // a key of zeros is like nothing
  ExpectMeanCosines(Plane({{5, 1}}), {0});
}

TEST(KeyRedundancyTest, SearchesThroughTilesThatHoldNothingSimilar) {
  // Row 0 finds its like 150 rows ahead of the end, as does that one; all others lie across and
  // have the last row, which has the one before it.
  std::vector<std::pair<float, float>> keys(200, {0, 1});
  keys[0] = keys[50] = {1, 0};
  std::vector<double> means(200, 197.0 / 200);
  means[0] = means[50] = 0.0;
  means[199] = 0.0;
  means[198] = 196.0 / 200;
  ExpectMeanCosines(Plane(keys), means);
}

TEST(KeyRedundancyTest, EqualsTheSpecificationToOneStepWhereSimilarRowsAreFarAndNear) {
  SeededRandom random;
  for (const CacheCase& c : AllCacheCases()) {
    SCOPED_TRACE(c.name);
    RedundancyInput in(c, random.Int(1, 600), random);
    std::shuffle(in.order.begin(), in.order.end(), random.engine());
    const float along = static_cast<float>(random.Uniform(0.0, 1.5));
    for (int row = 0; row < in.rows(); row += random.Int(1, 40)) {
      for (int d = 0; d < c.shape.key_dim; ++d) {
        in.cache.SetKey(row, 0, d, along + random.Normal());
      }
    }
    std::vector<std::int32_t> out(in.order.size());
    std::vector<std::int32_t> specified(in.order.size());
    ASSERT_TRUE(under_test::KeyRedundancy(in.Rank(0, 1), absl::MakeSpan(out)).ok());
    ASSERT_TRUE(KeyRedundancy(in.Rank(0, 1), absl::MakeSpan(specified)).ok());
    for (std::size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], specified[i], 1) << i;
  }
}

TEST(KeyRedundancyTest, RefusesShapesThatDisagreeAndKeysThatAreNotFinite) {
  const RedundancyInput in = Plane({{1, 0}, {0, 1}, {1, 1}});
  const auto refuses = [&](auto change) {
    KeyRedundancyArgs args = in.Rank(0, 1);
    change(args);
    std::vector<std::int32_t> out(3);
    return KeyRedundancy(args, absl::MakeSpan(out)).code() == absl::StatusCode::kInvalidArgument;
  };
  static constexpr std::int32_t kTwice[] = {0, 1, 1};
  EXPECT_TRUE(refuses([](auto& args) { args.order = kTwice; }));
  EXPECT_TRUE(refuses([](auto& args) { args.order.remove_suffix(1); }));
  EXPECT_TRUE(refuses([](auto& args) { args.total_kv_heads = 0; }));
  EXPECT_TRUE(refuses([](auto& args) { args.block_table = {}; }));
  EXPECT_TRUE(refuses([](auto& args) { args.cache.key.base = nullptr; }));
  std::vector<std::int32_t> out(2);
  EXPECT_EQ(under_test::KeyRedundancy(
                Plane({{1, 0}, {std::numeric_limits<float>::infinity(), 0}}).Rank(0, 1),
                absl::MakeSpan(out))
                .code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard::kernels
