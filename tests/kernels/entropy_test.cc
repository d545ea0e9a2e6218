// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/entropy/entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/dtype.h"
#include "tests/kernels/checks/entropy_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(TopKLogitsTest, GivesTheLargestInOrderWithIdsOfTheWholeVocabulary) {
  const std::vector<float> logits = {1.0F, 5.0F, 3.0F, 5.0F, /**/ -0.0F, -1.0F, 0.0F, -kInfinity};
  std::vector<float> values(6);
  std::vector<std::int32_t> ids(6);
  ASSERT_TRUE(
      under_test::TopKLogits(logits, 2, 4, 100, 3, absl::MakeSpan(values), absl::MakeSpan(ids))
          .ok());
  EXPECT_EQ(values, (std::vector<float>{5.0F, 5.0F, 3.0F, -0.0F, 0.0F, -1.0F}));
  EXPECT_EQ(ids, (std::vector<std::int32_t>{101, 103, 102, 100, 102, 101}));
}

TEST(TopKLogitsTest, FillsUpAShardSmallerThanK) {
  std::vector<float> values(4);
  std::vector<std::int32_t> ids(4);
  ASSERT_TRUE(
      under_test::TopKLogits({2.0F, 7.0F}, 1, 2, 10, 4, absl::MakeSpan(values), absl::MakeSpan(ids))
          .ok());
  EXPECT_EQ(values, (std::vector<float>{7.0F, 2.0F, -kInfinity, -kInfinity}));
  EXPECT_EQ(ids, (std::vector<std::int32_t>{11, 10, -1, -1}));
}

TEST(TopKLogitsTest, EqualsASortOfEverythingOnRandomLogitsWithTies) {
  SeededRandom random;
  for (int trial = 0; trial < 60; ++trial) {
    checks::ExpectTopKEqualsSort(under_test::TopKLogits, random);
    if (HasFatalFailure()) return;
  }
}

TEST(TopKLogitsTest, FindsTheLargestOfAWideVocabularyWhereverTheyLie) {
  SeededRandom random;
  constexpr int kVocab = 20'003;
  const auto top_k = [&](std::vector<float> logits, int k) {
    checks::ExpectTopKOf(under_test::TopKLogits, logits, 1, k, 0);
    logits.resize(20'000);
    checks::ExpectTopKOf(under_test::TopKLogits, logits, 1, k, 0);
  };
  std::vector<float> logits = random.Normals(kVocab, 4.0F);
  top_k(logits, 256);
  std::sort(logits.begin(), logits.end());
  top_k(logits, 512);
  std::reverse(logits.begin(), logits.end());
  top_k(logits, 1);
  top_k(std::vector<float>(kVocab, -2.5F), 300);
  for (float& logit : logits) logit = static_cast<float>(random.Int(-3, 3));
  top_k(logits, 256);
}

// The device has keys of 32 bits for rows in bf16 up to a width.
TEST(TopKLogitsTest, FindsTheLargestOfBFloat16sOnEitherSideOfTheWidthOfShortKeys) {
  SeededRandom random;
  for (const int vocab : {65'535, 65'536, 65'537, 70'000}) {
    std::vector<float> logits = random.Normals(static_cast<std::size_t>(vocab), 4.0F);
    for (float& logit : logits) logit = BFloat16ToFloat(FloatToBFloat16(logit));
    checks::ExpectTopKOf(under_test::TopKLogits, logits, 1, 256, 3);
    for (float& logit : logits) logit = logit > 0.0F ? -kInfinity : logit;
    checks::ExpectTopKOf(under_test::TopKLogits, logits, 1, 512, 0);
    logits.assign(logits.size(), -2.5F);
    logits.back() = 1.0F;
    checks::ExpectTopKOf(under_test::TopKLogits, logits, 1, 300, 0);
    if (HasFatalFailure()) return;
  }
}

// The device holds them in registers, and leaves a threshold that too many values reach, or bins
// that too many share, to the other way.
TEST(TopKLogitsTest, FindsTheLargestOfBFloat16sThatRegistersHold) {
  SeededRandom random;
  for (const int vocab : {8, 1'000, 4'096, 16'032, 16'384, 16'392}) {
    const auto top_k = [&](std::vector<float> logits) {
      for (float& logit : logits) logit = BFloat16ToFloat(FloatToBFloat16(logit));
      for (const int k : {1, 100, 256, 257}) {
        checks::ExpectTopKOf(under_test::TopKLogits, logits, 1, k, 5);
      }
    };
    std::vector<float> logits = random.Normals(static_cast<std::size_t>(vocab), 4.0F);
    top_k(logits);
    std::vector<float> alike = logits;
    for (float& logit : alike) logit = 7.0F + logit / 400.0F;
    top_k(alike);
    std::vector<float> few = logits;
    for (float& logit : few) logit = logit > -8.0F ? -kInfinity : logit;
    top_k(few);
    std::vector<float> around_zero = logits;
    for (float& logit : around_zero) logit = logit > 0.0F ? 0.0F : -0.0F;
    top_k(around_zero);
    std::sort(logits.begin(), logits.end());
    top_k(logits);
    if (HasFatalFailure()) return;
    logits[vocab / 2] = NAN;
    std::vector<float> values(1);
    std::vector<std::int32_t> ids(1);
    EXPECT_EQ(
        under_test::TopKLogits(logits, 1, vocab, 0, 1, absl::MakeSpan(values), absl::MakeSpan(ids))
            .code(),
        absl::StatusCode::kInvalidArgument);
  }
}

// The device guesses from vectors that lie evenly in a row what to leave out; here all that is
// large lies in those of them that bf16 and f32 rows have.
TEST(TopKLogitsTest, FindsTheLargestWhereASampleOfTheRowMisleads) {
  SeededRandom random;
  constexpr int kVocab = 20'000;
  for (const int apart : {9 * 4, 4 * 8}) {
    std::vector<float> logits(kVocab);
    for (float& logit : logits) logit = static_cast<float>(random.Int(-200, -100));
    for (int first = 0, large = 0; large < 160; first += apart) {
      for (int i = 0; i < 4; ++i, ++large) {
        logits[first + i] = static_cast<float>(random.Int(1, 100));
      }
    }
    checks::ExpectTopKOf(under_test::TopKLogits, logits, 1, 256, 0);
    logits[1] = 0.123F;  // no bf16
    checks::ExpectTopKOf(under_test::TopKLogits, logits, 1, 256, 0);
  }
}

TEST(TopKLogitsTest, RefusesNanAndSizesThatDisagree) {
  std::vector<float> values(1);
  std::vector<std::int32_t> ids(1);
  const auto v = absl::MakeSpan(values);
  const auto i = absl::MakeSpan(ids);
  EXPECT_EQ(under_test::TopKLogits({1.0F, NAN}, 1, 2, 0, 1, v, i).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(under_test::TopKLogits({1.0F}, 1, 2, 0, 1, v, i).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(under_test::TopKLogits({1.0F}, 1, 1, 0, 2, v, i).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(under_test::TopKLogits({1.0F}, 1, 1, 0, 0, {}, {}).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(MergedEntropyTest, EqualsTheWorkedExamples) {
  // Two ranks, k 2. Token 0: the two largest of {0, 0 | 0, -inf} are equal: ln 2 nats.
  // Token 1: {ln 3, 0 | -5, -6}: p = 3/4, 1/4.
  const float ln3 = std::log(3.0F);
  const std::vector<float> values = {0.0F, 0.0F,       ln3,   0.0F,  // rank 0
                                     0.0F, -kInfinity, -5.0F, -6.0F};
  std::vector<float> entropy(2);
  ASSERT_TRUE(
      under_test::MergedEntropy(values, 2, 2, 2, EntropyUnit::kNats, absl::MakeSpan(entropy)).ok());
  EXPECT_NEAR(entropy[0], std::log(2.0), 1e-7);
  EXPECT_NEAR(entropy[1], std::log(4.0) - 0.75 * std::log(3.0), 1e-7);
  ASSERT_TRUE(
      under_test::MergedEntropy(values, 2, 2, 2, EntropyUnit::kOverLogK, absl::MakeSpan(entropy))
          .ok());
  EXPECT_NEAR(entropy[0], 1.0, 1e-7);
}

TEST(MergedEntropyTest, IsZeroForACertainTokenAndLnKForAUniformOne) {
  std::vector<float> entropy(2);
  const std::vector<float> values = {9.0F, -kInfinity, -kInfinity, -kInfinity,
                                     2.0F, 2.0F,       2.0F,       2.0F};
  ASSERT_TRUE(
      under_test::MergedEntropy(values, 1, 2, 4, EntropyUnit::kNats, absl::MakeSpan(entropy)).ok());
  EXPECT_EQ(entropy[0], 0.0F);
  EXPECT_NEAR(entropy[1], std::log(4.0), 1e-7);
}

TEST(MergedEntropyTest, EqualsTheEntropyOfTheWholeVocabularyHoweverItIsSharded) {
  SeededRandom random;
  for (int trial = 0; trial < 40; ++trial) {
    checks::ExpectShardingChangesNothing(under_test::TopKLogits, under_test::MergedEntropy, random);
    if (HasFatalFailure()) return;
  }
}

TEST(MergedEntropyTest, RefusesTokensWithoutAFiniteLogit) {
  std::vector<float> entropy(1);
  const auto merge = [&](std::vector<float> values, int k, EntropyUnit unit) {
    return under_test::MergedEntropy(values, 1, 1, k, unit, absl::MakeSpan(entropy)).code();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(merge({-kInfinity, -kInfinity}, 2, EntropyUnit::kNats), kInvalid);
  EXPECT_EQ(merge({kInfinity, 0.0F}, 2, EntropyUnit::kNats), kInvalid);
  EXPECT_EQ(merge({NAN, 0.0F}, 2, EntropyUnit::kNats), kInvalid);
  EXPECT_EQ(merge({1.0F, 0.0F}, 3, EntropyUnit::kNats), kInvalid);
  EXPECT_EQ(merge({1.0F}, 1, EntropyUnit::kOverLogK), kInvalid);
  EXPECT_EQ(merge({1.0F}, 1, EntropyUnit::kNats), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace pinboard::kernels
