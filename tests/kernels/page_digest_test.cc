// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/page_digest/page_digest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/page_digest/page_digest_core.h"
#include "tests/kernels/checks/page_digest_checks.h"

namespace pinboard::kernels {
namespace {

using checks::Build;
using checks::Digests;

const std::vector<KvShape>& Shapes() {
  static const std::vector<KvShape> shapes = {
      {2, 32, 32, false, DType::kBF16}, {4, 8, 16, false, DType::kF32},
      {1, 64, 64, false, DType::kBF16}, {1, 40, 32, true, DType::kBF16},
      {1, 24, 16, true, DType::kF32},
  };
  return shapes;
}

TEST(BuildDigestTest, EqualsTheWorkedExample) {
  // Keys 0 ... 15: centre 7.5, mean distance (7.5 + 6.5 + ... + 0.5) * 2 / 16 = 4. A constant
  // dimension has radius 0.
  const KvShape shape{1, 2, 2, false, DType::kF32};
  std::vector<float> keys;
  for (int r = 0; r < kPageRows; ++r) {
    keys.push_back(static_cast<float>(r));
    keys.push_back(-3.0F);
  }
  Digests digests(shape, 1);
  Build(BuildDigest, digests, 0, keys);
  EXPECT_EQ(digests.Centre(0, 0, 0), 7.5);
  EXPECT_EQ(digests.radius[0], 255);
  EXPECT_NEAR(digests.Radius(0, 0, 0), 4.0, 1e-6);
  EXPECT_GE(digests.Radius(0, 0, 0), 4.0);
  EXPECT_EQ(digests.Centre(0, 0, 1), -3.0);
  EXPECT_EQ(digests.radius[1], 0);
}

TEST(BuildDigestTest, RoundsTheRadiusUpSoThatTheBoxNeverShrinks) {
  SeededRandom random;
  for (int trial = 0; trial < 40; ++trial) {
    for (const KvShape& shape : Shapes()) {
      checks::ExpectTightBoxes(BuildDigest, shape, random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(BuildDigestTest, TakesTheSmallestStepThatCoversARadiusWithoutLosingABit) {
  SeededRandom random;
  for (int trial = 0; trial < 200000; ++trial) {
    const float largest =
        std::ldexp(static_cast<float>(random.Uniform(0.5, 1.0)), random.Int(-149, 100));
    const float scale = RadiusScale(largest);
    ASSERT_GE(scale * kRadiusSteps, largest);
    ASSERT_GE(static_cast<float>(QuantisedRadius(largest, scale)) * scale, largest);
    const float radius = largest * static_cast<float>(random.Uniform(0.0, 1.0));
    const int step = QuantisedRadius(radius, scale);
    ASSERT_GE(static_cast<float>(step) * scale, radius) << radius << " of " << largest;
    ASSERT_TRUE(step == 0 || static_cast<float>(step - 1) * scale < radius);
  }
}

TEST(BuildDigestTest, GivesIdenticalKeysAZeroRadius) {
  const KvShape shape{1, 4, 4, true, DType::kF32};
  Digests digests(shape, 1);
  Build(BuildDigest, digests, 0, std::vector<float>(kPageRows * 4, 0.5F));
  EXPECT_EQ(digests.scale[0], 0.0F);
  EXPECT_EQ(digests.radius, std::vector<std::uint8_t>(4, 0));
}

TEST(BuildDigestTest, RefusesSizesThatDisagreeAndKeysThatAreNotFinite) {
  const KvShape shape{1, 4, 4, false, DType::kF32};
  Digests digests(shape, 1);
  std::vector<float> keys(kPageRows * 4, 1.0F);
  keys[5] = std::numeric_limits<float>::infinity();
  const auto build = [&](std::vector<std::byte> page, const KvShape& as) {
    return BuildDigest(as, page, absl::MakeSpan(digests.centre), absl::MakeSpan(digests.radius),
                       absl::MakeSpan(digests.scale))
        .code();
  };
  std::vector<std::byte> page = checks::PackPage(shape, keys);
  EXPECT_EQ(build(page, shape), absl::StatusCode::kInvalidArgument);
  page.pop_back();
  EXPECT_EQ(build(page, shape), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(build(page, {1, 4, 4, false, DType::kF16}), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(build(page, {0, 4, 4, false, DType::kF32}), absl::StatusCode::kInvalidArgument);
}

TEST(ScorePagesTest, EqualsTheWorkedExample) {
  // Centres 0 and ln 3, no radius, query 1: softmax 1/4 and 3/4; this rank has one of two heads.
  const KvShape shape{1, 1, 1, false, DType::kF32};
  Digests digests(shape, 3);
  digests.centre = {FloatToBFloat16(2.0F), FloatToBFloat16(1.0F), FloatToBFloat16(2.0F)};
  digests.radius = {0, 2, 0};
  digests.scale = {0.0F, 0.5F, 0.0F};
  // Page 1 is [0, 2]: its best corner is 2 for a positive query and 0 for a negative one.
  const std::vector<std::int32_t> pages = {0, 1};
  std::vector<std::int32_t> out(2);
  PageScoreArgs args{digests.view(), shape, pages, {}, 1, 1, 2, 1.0F};
  std::vector<float> query = {1.0F};
  args.queries = query;
  ASSERT_TRUE(ScorePages(args, absl::MakeSpan(out)).ok());
  EXPECT_EQ(out, (std::vector<std::int32_t>{1 << 28, 1 << 28}));
  query = {-1.0F};
  args.queries = query;
  ASSERT_TRUE(ScorePages(args, absl::MakeSpan(out)).ok());
  const double share = 1.0 / (1.0 + std::exp(-2.0)) / 2;
  EXPECT_NEAR(FromFixed(out[1], kAttentionFractionBits), share, 1e-7);
}

TEST(ScorePagesTest, EqualsTheBoxFormulaOnRandomDigestsQueriesAndLivePages) {
  SeededRandom random;
  for (int trial = 0; trial < 30; ++trial) {
    for (const KvShape& shape : Shapes()) {
      const int slots = random.Int(1, 150);
      Digests digests(shape, slots);
      for (int page = 0; page < slots; ++page) {
        Build(BuildDigest, digests, page, random.Normals(kPageRows * digests.width));
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
      checks::ExpectEqualsTheBoxFormula(ScorePages,
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
    Build(BuildDigest, digests, page, random.Normals(kPageRows * digests.width));
  }
  std::vector<std::int32_t> live(20);
  for (int page = 0; page < 20; ++page) live[page] = page;
  const std::size_t width = 4 * shape.key_dim;
  const auto queries = random.Normals(2 * width);
  std::vector<std::int32_t> both(20);
  std::vector<std::int32_t> single[2] = {both, both};
  ASSERT_TRUE(
      ScorePages({digests.view(), shape, live, queries, 2, 4, 4, 0.2F}, absl::MakeSpan(both)).ok());
  for (int token = 0; token < 2; ++token) {
    const auto one = absl::MakeConstSpan(queries).subspan(token * width, width);
    ASSERT_TRUE(
        ScorePages({digests.view(), shape, live, one, 1, 4, 4, 0.2F}, absl::MakeSpan(single[token]))
            .ok());
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(both[i], std::max(single[0][i], single[1][i]));
}

TEST(ScorePagesTest, AcceptsNoPagesAndRefusesWhatDisagrees) {
  const KvShape shape{1, 2, 2, false, DType::kF32};
  Digests digests(shape, 2);
  std::vector<std::int32_t> out(1);
  const std::vector<float> query = {1.0F, 2.0F};
  const auto score = [&](std::vector<std::int32_t> pages, int heads, int total) {
    return ScorePages({digests.view(), shape, pages, query, 1, heads, total, 1.0F},
                      absl::MakeSpan(out).first(pages.size()))
        .code();
  };
  EXPECT_EQ(score({}, 1, 1), absl::StatusCode::kOk);
  EXPECT_EQ(score({2}, 1, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(score({-1}, 1, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(score({0}, 2, 2), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(score({0}, 1, 0), absl::StatusCode::kInvalidArgument);
  digests.radius.pop_back();
  EXPECT_EQ(score({0}, 1, 1), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard::kernels
