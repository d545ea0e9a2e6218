// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/scoring.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <thread>

#include "transport/collective/local/local_communicator.h"

namespace pinboard::engine {
namespace {

constexpr int kTokens = 7;
constexpr int kVocabulary = 24;

std::vector<float> RandomLogits(std::uint64_t seed, float spread) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(kTokens * kVocabulary);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

std::vector<float> Columns(const std::vector<float>& logits, int begin, int count) {
  std::vector<float> part;
  for (int token = 0; token < kTokens; ++token) {
    const auto row = logits.begin() + token * kVocabulary + begin;
    part.insert(part.end(), row, row + count);
  }
  return part;
}

double LogProbability(const std::vector<float>& logits, int token, int id) {
  double sum = 0;
  for (int i = 0; i < kVocabulary; ++i) {
    sum += std::exp(static_cast<double>(logits[token * kVocabulary + i]));
  }
  return logits[token * kVocabulary + id] - std::log(sum);
}

class ScoringTest : public ::testing::TestWithParam<int> {
 protected:
  /// Runs `body` on every rank with its shard of the vocabulary.
  template <typename Body>
  void OnRanks(const Body& body) {
    const int ranks = GetParam(), local = kVocabulary / ranks;
    transport::LocalGroup group(ranks);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank, communicator = group.Join(rank)] {
        body(VocabularyShard{rank * local, local, communicator.get()});
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  const std::vector<float> full_ = RandomLogits(1, 4), other_ = RandomLogits(2, 4);
};

TEST_P(ScoringTest, NllIsTheWholeVocabularysOnEveryRank) {
  const std::vector<std::int32_t> targets = {0, 23, 11, 12, 5, 17, 8};
  OnRanks([&](const VocabularyShard& shard) {
    const auto nll = TokenNll(shard, Columns(full_, shard.begin, shard.local), targets);
    ASSERT_TRUE(nll.ok()) << nll.status();
    for (int token = 0; token < kTokens; ++token) {
      EXPECT_NEAR((*nll)[token], -LogProbability(full_, token, targets[token]), 1e-9);
    }
  });
}

TEST_P(ScoringTest, KlIsTheWholeVocabularysOnEveryRank) {
  OnRanks([&](const VocabularyShard& shard) {
    const auto kl = TokenKl(shard, Columns(full_, shard.begin, shard.local),
                            Columns(other_, shard.begin, shard.local));
    ASSERT_TRUE(kl.ok()) << kl.status();
    for (int token = 0; token < kTokens; ++token) {
      double expected = 0;
      for (int id = 0; id < kVocabulary; ++id) {
        const double p = LogProbability(full_, token, id);
        expected += std::exp(p) * (p - LogProbability(other_, token, id));
      }
      EXPECT_NEAR((*kl)[token], expected, 1e-9);
    }
  });
}

TEST_P(ScoringTest, EqualLogitsDivergeByNothing) {
  OnRanks([&](const VocabularyShard& shard) {
    const auto part = Columns(full_, shard.begin, shard.local);
    const auto divergences = TokenKl(shard, part, part);
    ASSERT_TRUE(divergences.ok()) << divergences.status();
    for (const double kl : *divergences) EXPECT_NEAR(kl, 0, 1e-12);
  });
}

TEST_P(ScoringTest, ATargetOutsideTheVocabularyIsNamedOnEveryRank) {
  OnRanks([&](const VocabularyShard& shard) {
    const std::vector<std::int32_t> targets(kTokens, kVocabulary);
    EXPECT_EQ(TokenNll(shard, Columns(full_, shard.begin, shard.local), targets).status().message(),
              "token id 24 is outside the vocabulary");
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, ScoringTest, ::testing::Values(1, 2, 4));

TEST(ScoringAloneTest, AGroupOfOneNeedsNoCommunicator) {
  const std::vector<float> logits = {0, 0, 0, 0};
  EXPECT_NEAR((*TokenNll({0, 4}, logits, {2}))[0], std::log(4), 1e-12);
  EXPECT_FALSE(TokenNll({0, 3}, logits, {2}).ok());
  EXPECT_FALSE(TokenKl({0, 4}, logits, absl::MakeConstSpan(logits).first(3)).ok());
}

}  // namespace
}  // namespace pinboard::engine
