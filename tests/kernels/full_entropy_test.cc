// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/full_entropy/full_entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/dtype.h"
#include "tests/kernels/checks/entropy_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kTolerance = 1e-4;  // nats; full_entropy_cuda.cuh

/// Of logits [tokens, vocab] cut into `ranks` equal shards.
absl::StatusOr<std::vector<float>> EntropyOverRanks(const std::vector<float>& logits, int tokens,
                                                    int ranks) {
  const int vocab = static_cast<int>(logits.size()) / tokens;
  const int local = vocab / ranks;
  std::vector<EntropyPart> parts(static_cast<std::size_t>(ranks * tokens));
  for (int rank = 0; rank < ranks; ++rank) {
    std::vector<float> shard;
    for (int t = 0; t < tokens; ++t) {
      const auto from = logits.begin() + std::ptrdiff_t{t} * vocab + std::ptrdiff_t{rank} * local;
      shard.insert(shard.end(), from, from + local);
    }
    const auto of_rank = absl::MakeSpan(parts).subspan(rank * tokens, tokens);
    const absl::Status status = under_test::EntropyParts(shard, tokens, local, of_rank);
    if (!status.ok()) return status;
  }
  std::vector<float> entropy(static_cast<std::size_t>(tokens));
  const absl::Status status =
      under_test::JoinedEntropy(parts, ranks, tokens, absl::MakeSpan(entropy));
  if (!status.ok()) return status;
  return entropy;
}

TEST(FullEntropyTest, EqualsTheWorkedExamples) {
  const float ln3 = std::log(3.0F);
  const auto entropy = EntropyOverRanks({0.0F, 0.0F, -kInfinity, -kInfinity,  //
                                         -kInfinity, ln3, -kInfinity, 0.0F,   //
                                         5.0F, 5.0F, 5.0F, 5.0F},
                                        3, 2);
  ASSERT_TRUE(entropy.ok()) << entropy.status();
  EXPECT_NEAR((*entropy)[0], std::log(2.0), 1e-6);
  EXPECT_NEAR((*entropy)[1], std::log(4.0) - 0.75 * std::log(3.0), 1e-6);
  EXPECT_NEAR((*entropy)[2], std::log(4.0), 1e-6);
}

TEST(FullEntropyTest, EqualsTheFormulaOnRandomLogitsHoweverTheyAreSharded) {
  SeededRandom random;
  for (int trial = 0; trial < 15; ++trial) {
    const int tokens = random.Int(1, 3);
    const int vocab = 8 * random.Int(1, random.Pick<int>({20, 3000}));
    auto logits = random.Normals(static_cast<std::size_t>(tokens * vocab),
                                 random.Pick<float>({0.1F, 3.0F, 30.0F}));
    if (random.OneIn(2)) {  // 16 bits have their turn
      for (float& logit : logits) logit = BFloat16ToFloat(FloatToBFloat16(logit));
    }
    for (const int ranks : {1, 2, 8}) {
      const auto entropy = EntropyOverRanks(logits, tokens, ranks);
      ASSERT_TRUE(entropy.ok()) << entropy.status();
      for (int t = 0; t < tokens; ++t) {
        const auto from = logits.begin() + std::ptrdiff_t{t} * vocab;
        ASSERT_NEAR((*entropy)[t], checks::NaiveEntropy({from, from + vocab}, vocab), kTolerance)
            << vocab << " logits over " << ranks << " ranks";
      }
    }
  }
}

TEST(FullEntropyTest, TakesRowsOfAnyWidthAndAscendingLogits) {
  for (const int vocab : {1, 7, 2049, 9001}) {
    std::vector<float> logits(static_cast<std::size_t>(2 * vocab));
    for (int i = 0; i < 2 * vocab; ++i) logits[i] = 0.01F * static_cast<float>(i % vocab) - 50.0F;
    const auto entropy = EntropyOverRanks(logits, 2, 1);
    ASSERT_TRUE(entropy.ok()) << entropy.status();
    for (const float of_token : *entropy) {
      ASSERT_NEAR(of_token, checks::NaiveEntropy({logits.begin(), logits.begin() + vocab}, vocab),
                  kTolerance);
    }
  }
}

TEST(FullEntropyTest, RefusesTokensWithoutAFiniteLogit) {
  const auto code = [](const std::vector<float>& logits) {
    return EntropyOverRanks(logits, 1, 2).status().code();
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code({-kInfinity, -kInfinity, -kInfinity, -kInfinity}), kInvalid);
  EXPECT_EQ(code({0.0F, 1.0F, NAN, 2.0F}), kInvalid);
  EXPECT_EQ(code({0.0F, kInfinity, 1.0F, 2.0F}), kInvalid);
  EXPECT_EQ(code({-kInfinity, -kInfinity, 1.0F, 2.0F}), absl::StatusCode::kOk);
}

TEST(FullEntropyTest, RefusesSizesThatDisagree) {
  std::vector<EntropyPart> parts(2);
  std::vector<float> entropy(2);
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(under_test::EntropyParts({1.0F, 2.0F, 3.0F}, 2, 2, absl::MakeSpan(parts)).code(),
            kInvalid);
  EXPECT_EQ(under_test::JoinedEntropy(parts, 2, 2, absl::MakeSpan(entropy)).code(), kInvalid);
}

}  // namespace
}  // namespace pinboard::kernels
