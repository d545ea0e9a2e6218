// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/page_digest/page_digest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/page_digest/page_digest_core.h"
#include "tests/kernels/checks/page_digest_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

using checks::Build;
using checks::Digests;

const std::vector<KvShape>& Shapes() {
  static const std::vector<KvShape> shapes = {
      {2, 32, 32, false, DType::kBF16},   {4, 8, 16, false, DType::kF32},
      {1, 64, 64, false, DType::kBF16},   {1, 40, 32, true, DType::kBF16},
      {1, 24, 16, true, DType::kF32},     {2, 16, 16, false, DType::kF16},
      {2, 32, 16, false, DType::kF8E4M3}, {1, 160, 128, true, DType::kF8DsMla},
  };
  return shapes;
}

TEST(BuildDigestTest, EqualsTheWorkedExample) {
  // Two clusters along one dimension, 127 the largest: the scale is 1. The first guesses, rows 4
  // and 12, are 127 and 3: each in a cluster of its own, so the first pass settles it.
  const KvShape shape{1, 1, 1, false, DType::kF32};
  std::vector<float> keys(kPageRows);
  for (int r = 0; r < 6; ++r) keys[r] = r == 0 ? 120.0F : 127.0F;   // mean 125.83
  for (int r = 6; r < 16; ++r) keys[r] = r % 2 == 0 ? 3.0F : 2.0F;  // mean 2.5, ties up
  Digests digests(shape, 1);
  Build(under_test::BuildDigest, digests, 0, keys);
  EXPECT_EQ(digests.step, std::vector<float>{1.0F});
  EXPECT_EQ(digests.centres, (std::vector<std::int8_t>{126, 3}));
  EXPECT_EQ(digests.counts, (std::vector<std::uint8_t>{6, 10}));
}

TEST(BuildDigestTest, EqualsThePlainAlgorithmBitForBit) {
  SeededRandom random;
  for (int trial = 0; trial < 60; ++trial) {
    for (const KvShape& shape : Shapes()) {
      const std::size_t width = static_cast<std::size_t>(shape.kv_heads) * shape.key_dim;
      std::vector<float> keys = random.Normals(kPageRows * width, 3.0F);
      if (random.Int(0, 2) == 0) {  // coarse keys: many ties in distance
        for (float& key : keys) key = std::round(key);
      }
      checks::ExpectTheDefinition(under_test::BuildDigest, shape, keys);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(BuildDigestTest, RoundsAMeanToTheNearestAndTiesUp) {
  EXPECT_EQ(RoundedMean(7, 2), 4);    // 3.5
  EXPECT_EQ(RoundedMean(-7, 2), -3);  // -3.5
  EXPECT_EQ(RoundedMean(-8, 3), -3);  // -2.67
  EXPECT_EQ(RoundedMean(8, 3), 3);    // 2.67
  EXPECT_EQ(RoundedMean(-7, 3), -2);  // -2.33
  EXPECT_EQ(RoundedMean(0, 5), 0);
}

TEST(BuildDigestTest, TakesTheSameMeansWithoutDivision) {
  for (int count = 1; count <= kPageRows; ++count) {
    const MeanOf mean(count);
    for (int sum = -128 * count; sum <= 127 * count; ++sum) {
      ASSERT_EQ(mean(sum), RoundedMean(sum, count)) << sum << " / " << count;
    }
  }
}

TEST(BuildDigestTest, GivesIdenticalKeysOneCentreThatStandsForAllRows) {
  const KvShape shape{1, 4, 4, true, DType::kF32};
  Digests digests(shape, 1);
  Build(under_test::BuildDigest, digests, 0, std::vector<float>(kPageRows * 4, 0.5F));
  EXPECT_EQ(digests.counts, (std::vector<std::uint8_t>{16, 0}));
  EXPECT_NEAR(digests.Centre(0, 0, 0, 3), 0.5, 1e-7);
}

TEST(BuildDigestTest, AHeadsScaleIsThatOfItsDigest) {
  const KvShape shape{2, 16, 16, false, DType::kF8E4M3};
  SeededRandom random;
  const std::vector<float> keys = random.Normals(kPageRows * 32);
  const std::vector<std::byte> page = checks::PackPage(shape, keys);
  Digests plain(shape, 1);
  Digests scaled(shape, 1);
  const float scales[] = {0.25F, 8.0F};  // which round nothing
  ASSERT_TRUE(under_test::BuildDigest(shape, page, nullptr, plain.slot(0)).ok());
  ASSERT_TRUE(under_test::BuildDigest(shape, page, scales, scaled.slot(0)).ok());
  EXPECT_EQ(scaled.centres, plain.centres);
  EXPECT_EQ(scaled.step, (std::vector<float>{plain.step[0] / 4, plain.step[1] * 8}));
}

TEST(BuildDigestTest, TakesKeysOfZeroAndTheSmallestOnes) {
  const KvShape shape{1, 2, 2, false, DType::kF32};
  Digests digests(shape, 1);
  Build(under_test::BuildDigest, digests, 0, std::vector<float>(kPageRows * 2, 0.0F));
  EXPECT_EQ(digests.step[0], 0.0F);
  EXPECT_EQ(digests.centres, std::vector<std::int8_t>(4, 0));
  // A step of one denormal, though the keys are 190: cut off at 127. At 60 the step underflows.
  for (const int denormals : {1000, 190, 60}) {
    const float key = static_cast<float>(denormals) * std::numeric_limits<float>::denorm_min();
    checks::ExpectTheDefinition(under_test::BuildDigest, shape,
                                std::vector<float>(kPageRows * 2, key));
  }
}

TEST(BuildDigestTest, RefusesSizesThatDisagreeAndKeysThatAreNotFinite) {
  const KvShape shape{1, 4, 4, false, DType::kF32};
  Digests digests(shape, 1);
  std::vector<float> keys(kPageRows * 4, 1.0F);
  keys[5] = std::numeric_limits<float>::infinity();
  const auto build = [&](const std::vector<std::byte>& page, const KvShape& as) {
    return under_test::BuildDigest(as, page, nullptr, digests.slot(0)).code();
  };
  std::vector<std::byte> page = checks::PackPage(shape, keys);
  EXPECT_EQ(build(page, shape), absl::StatusCode::kInvalidArgument);
  page.pop_back();
  EXPECT_EQ(build(page, shape), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(build(page, {0, 4, 4, false, DType::kF32}), absl::StatusCode::kInvalidArgument);
  const std::vector<std::byte> good = checks::PackPage(shape, std::vector<float>(kPageRows * 4));
  DigestSlot narrow = digests.slot(0);
  narrow.counts = narrow.counts.first(1);
  EXPECT_EQ(under_test::BuildDigest(shape, good, nullptr, narrow).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ScorePagesTest, EqualsTheWorkedExample) {
  // One dimension, query 1. Page 0: four rows at 0. Page 1: three at 2 ln 2, four at 0.
  const KvShape shape{1, 1, 1, false, DType::kF32};
  Digests digests(shape, 2);
  digests.centres = {0, 99, 2, 0};
  digests.counts = {4, 0, 3, 4};  // the centre at 99 stands for no row
  digests.step = {1.0F, static_cast<float>(std::log(2.0))};
  const std::vector<std::int32_t> pages = {0, 1};
  std::vector<std::int32_t> out(2);
  const std::vector<float> query = {1.0F};
  // Masses 4 and 3 * 4 + 4 = 16: shares 1/5 and 4/5; this rank has one of two heads.
  ASSERT_TRUE(under_test::ScorePages({digests.view(), shape, pages, query, 1, 1, 2, 1.0F},
                                     absl::MakeSpan(out))
                  .ok());
  EXPECT_NEAR(FromFixed(out[0], kAttentionFractionBits), 0.04 / 2, 1e-6);
  EXPECT_NEAR(FromFixed(out[1], kAttentionFractionBits), 0.64 / 2, 1e-6);
}

TEST(ScorePagesTest, APageOneHeadWantsBadlyGoesBeforeOneAllHeadsWantALittle) {
  // Of page 0 the first head wants nearly everything and the other three nothing; the other pages
  // are all alike to them.
  const KvShape shape{1, 4, 4, false, DType::kF32};
  Digests digests(shape, 5);
  std::fill(digests.step.begin(), digests.step.end(), 0.1F);
  for (int page = 0; page < 5; ++page) {
    digests.counts[page * kDigestCentres] = kPageRows;
    digests.centres[page * kDigestCentres * 4 + (page == 0 ? 0 : 1)] = 100;
  }
  std::vector<float> queries(16, 0.0F);
  queries[0] = 1.0F;
  for (int head = 1; head < 4; ++head) queries[head * 4 + 1] = 1.0F;
  const std::vector<std::int32_t> pages = {0, 1, 2, 3, 4};
  std::vector<std::int32_t> out(5);
  ASSERT_TRUE(under_test::ScorePages({digests.view(), shape, pages, queries, 1, 4, 4, 1.0F},
                                     absl::MakeSpan(out))
                  .ok());
  EXPECT_GT(out[0], 4 * out[1]);
}

TEST(ScorePagesTest, EqualsTheFormulaOnRandomDigestsQueriesAndLivePages) {
  SeededRandom random;
  for (int trial = 0; trial < 30; ++trial) {
    for (const KvShape& shape : Shapes()) {
      const int slots = random.Int(1, 150);
      Digests digests(shape, slots);
      for (int page = 0; page < slots; ++page) {
        Build(kernels::BuildDigest, digests, page, random.Normals(kPageRows * digests.width));
      }
      std::vector<std::int32_t> live;
      for (int page = slots - 1; page >= 0; --page) {
        if (live.empty() || random.Int(0, 2) > 0) live.push_back(page);
      }
      const int query_heads = shape.kv_heads * random.Int(1, 4);
      const int tokens = random.Int(1, 3);
      const auto queries =
          random.Normals(static_cast<std::size_t>(tokens * query_heads * shape.key_dim));
      const float scale = 1.0F / std::sqrt(static_cast<float>(shape.key_dim));
      checks::ExpectEqualsTheFormula(under_test::ScorePages,
                                     {digests.view(), shape, live, queries, tokens, query_heads,
                                      query_heads * random.Int(1, 8), scale},
                                     digests);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(ScorePagesTest, TakesTheMaximumOverTheTokens) {
  SeededRandom random;
  const KvShape shape = Shapes().front();
  Digests digests(shape, 20);
  for (int page = 0; page < 20; ++page) {
    Build(kernels::BuildDigest, digests, page, random.Normals(kPageRows * digests.width));
  }
  std::vector<std::int32_t> live(20);
  for (int page = 0; page < 20; ++page) live[page] = page;
  const std::size_t width = 4 * shape.key_dim;
  const auto queries = random.Normals(2 * width);
  std::vector<std::int32_t> both(20);
  std::vector<std::int32_t> single[2] = {both, both};
  ASSERT_TRUE(under_test::ScorePages({digests.view(), shape, live, queries, 2, 4, 4, 0.2F},
                                     absl::MakeSpan(both))
                  .ok());
  for (int token = 0; token < 2; ++token) {
    const auto one = absl::MakeConstSpan(queries).subspan(token * width, width);
    ASSERT_TRUE(under_test::ScorePages({digests.view(), shape, live, one, 1, 4, 4, 0.2F},
                                       absl::MakeSpan(single[token]))
                    .ok());
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(both[i], std::max(single[0][i], single[1][i]));
}

TEST(ScorePagesTest, AcceptsNoPagesAndRefusesWhatDisagrees) {
  const KvShape shape{1, 2, 2, false, DType::kF32};
  Digests digests(shape, 2);
  std::vector<std::int32_t> out(1);
  std::vector<float> query = {1.0F, 2.0F};
  const auto score = [&](std::vector<std::int32_t> pages, int heads, int total) {
    return under_test::ScorePages({digests.view(), shape, pages, query, 1, heads, total, 1.0F},
                                  absl::MakeSpan(out).first(pages.size()))
        .code();
  };
  EXPECT_EQ(score({}, 1, 1), absl::StatusCode::kOk);
  EXPECT_EQ(score({2}, 1, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(score({-1}, 1, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(score({0}, 2, 2), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(score({0}, 1, 0), absl::StatusCode::kInvalidArgument);
  digests.counts[0] = kPageRows;
  EXPECT_EQ(score({0}, 1, 1), absl::StatusCode::kOk);
  query[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(score({0}, 1, 1), absl::StatusCode::kInvalidArgument);
  query[1] = 2.0F;
  digests.step[0] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(score({0}, 1, 1), absl::StatusCode::kInvalidArgument);
  digests.step[0] = 1.0F;
  digests.counts.pop_back();
  EXPECT_EQ(score({0}, 1, 1), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard::kernels
