// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/expert_router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/engine/plain_moe.h"

namespace pinboard::engine {
namespace {

using ::testing::ElementsAre;

/// A gate whose logits are the state itself.
ExpertWeights PassThrough(int experts) {
  ExpertWeights weights;
  weights.gate = {.out = experts, .in = experts, .weight = {}, .bias = {}};
  weights.gate.weight.assign(static_cast<std::size_t>(experts) * experts, 0.0F);
  for (int i = 0; i < experts; ++i) weights.gate.weight[i * experts + i] = 1.0F;
  weights.gate_bias.assign(experts, 0.0F);
  return weights;
}

MoeConfig Config(int experts, int per_token, int groups, int groups_per_token) {
  MoeConfig config;
  config.routed_experts = experts;
  config.experts_per_token = per_token;
  config.groups = groups;
  config.groups_per_token = groups_per_token;
  return config;
}

std::vector<int> ExpertsOf(absl::Span<const ExpertChoice> choices) {
  std::vector<int> experts;
  for (const ExpertChoice& choice : choices) experts.push_back(choice.expert);
  return experts;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(ExpertRouterTest, TheBestExpertsAreChosenBestFirstAndTheirWeightsSumToTheScale) {
  MoeConfig config = Config(4, 2, 1, 1);
  config.weight_scale = 2.5;
  ExpertRouter router(config);
  const std::vector<float> x = {0.5F, 2.0F, -1.0F, 1.0F};
  const auto choices = router.Route(PassThrough(4), x.data());
  EXPECT_THAT(ExpertsOf(choices), ElementsAre(1, 3));
  EXPECT_FLOAT_EQ(choices[0].weight, 2.5 * Sigmoid(2) / (Sigmoid(2) + Sigmoid(1)));
  EXPECT_FLOAT_EQ(choices[0].weight + choices[1].weight, 2.5);
}

TEST(ExpertRouterTest, WithoutNormalisationWeightsAreTheScores) {
  MoeConfig config = Config(4, 2, 1, 1);
  config.normalised = false;
  config.weight_scale = 2.0;
  ExpertRouter router(config);
  const std::vector<float> x = {0.5F, 2.0F, -1.0F, 1.0F};
  const auto choices = router.Route(PassThrough(4), x.data());
  EXPECT_FLOAT_EQ(choices[1].weight, 2 * Sigmoid(1));
}

TEST(ExpertRouterTest, TheBiasChoosesAndDoesNotWeigh) {
  ExpertWeights weights = PassThrough(4);
  weights.gate_bias = {0, 0, 3, 0};
  MoeConfig config = Config(4, 1, 1, 1);
  config.normalised = false;
  ExpertRouter router(config);
  const std::vector<float> x = {0.5F, 2.0F, -1.0F, 1.0F};
  const auto choices = router.Route(weights, x.data());
  EXPECT_THAT(ExpertsOf(choices), ElementsAre(2));
  EXPECT_FLOAT_EQ(choices[0].weight, Sigmoid(-1));
}

TEST(ExpertRouterTest, AGroupIsWorthItsTwoBestAndTheBestExpertOutsideOneIsNotSeen) {
  ExpertRouter router(Config(6, 2, 2, 1));
  // The best expert is alone in the first group; the second one's best two are better together.
  const std::vector<float> x = {3.0F, -3.0F, -3.0F, 1.0F, -2.0F, 1.5F};
  EXPECT_THAT(ExpertsOf(router.Route(PassThrough(6), x.data())), ElementsAre(5, 3));
}

TEST(ExpertRouterTest, TiesGoToTheLowerGroupAndTheLowerExpert) {
  ExpertRouter router(Config(8, 3, 4, 2));
  const std::vector<float> x(8, 0.25F);
  EXPECT_THAT(ExpertsOf(router.Route(PassThrough(8), x.data())), ElementsAre(0, 1, 2));
}

TEST(ExpertRouterTest, AStateThatIsNoNumberStillNamesExperts) {
  ExpertRouter router(Config(4, 2, 2, 1));
  const std::vector<float> x(4, std::nanf(""));
  for (const int expert : ExpertsOf(router.Route(PassThrough(4), x.data()))) {
    EXPECT_GE(expert, 0);
    EXPECT_LT(expert, 4);
  }
}

TEST(ExpertRouterTest, RandomStatesAreRoutedAsBySorting) {
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal(0, 1);
  ExpertWeights weights = PassThrough(32);
  for (float& bias : weights.gate_bias) bias = 0.2F * normal(random);
  MoeConfig config = Config(32, 6, 8, 3);
  config.weight_scale = 2.5;
  ExpertRouter router(config);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<float> x(32);
    for (float& value : x) value = normal(random);
    const auto choices = router.Route(weights, x.data());
    const auto expected = testing::ChosenExperts(config, {x.begin(), x.end()}, weights.gate_bias);
    ASSERT_EQ(choices.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(choices[i].expert, expected[i].first) << "trial " << trial;
      EXPECT_NEAR(choices[i].weight, expected[i].second, 1e-6);
    }
  }
}

}  // namespace
}  // namespace pinboard::engine
