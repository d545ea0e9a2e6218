// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The engine's logits against the plain model's, over families, shapes and numbers of ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/engine/backend_under_test.h"
#include "tests/engine/engine_group.h"
#include "tests/engine/plain_model.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::engine {
namespace {

using testing::EngineGroup;
using testing::FullLogits;
using testing::PlainModel;
using testing::TheBackend;
using testing::TinyDirectory;
using testing::TinyModel;
using testing::TokenIds;

constexpr double kBf16CacheTolerance = 5e-2;

TokenIds RandomTokens(int count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::int32_t> distribution(0, 95);
  TokenIds tokens(count);
  for (std::int32_t& token : tokens) token = distribution(random);
  return tokens;
}

EngineOptions Options(const TinyDirectory& directory) {
  return {.backend = TheBackend().backend,
          .model_dir = directory.path(),
          .cache_blocks = 24,
          .cache_dtype = TheBackend().cache_dtype};
}

/// Of each token |logits - expected| / |expected|, ascending.
template <typename Expected>
std::vector<double> Distances(const FullLogits& logits, const std::vector<Expected>& expected) {
  EXPECT_EQ(logits.size(), expected.size());
  std::vector<double> distances;
  for (std::size_t token = 0; token < logits.size(); ++token) {
    EXPECT_EQ(logits[token].size(), expected[token].size());
    double gap = 0, norm = 0;
    for (std::size_t i = 0; i < logits[token].size(); ++i) {
      const double expected_logit = expected[token][i];
      gap += (logits[token][i] - expected_logit) * (logits[token][i] - expected_logit);
      norm += expected_logit * expected_logit;
    }
    const double distance = std::sqrt(gap / norm);
    distances.push_back(std::isnan(distance) ? 1e9 : distance);
  }
  std::sort(distances.begin(), distances.end());
  return distances;
}

/// The worst token counts. With experts and rounded activations the middle one does: a random
/// router's scores are so close that rounding gives some tokens to other experts.
double WorstThatCounts(const ModelConfig& config, const std::vector<double>& distances) {
  const bool other_experts = config.moe.routed_experts > 0 && !TheBackend().keeps_experts;
  return distances[other_experts ? distances.size() / 2 : distances.size() - 1];
}

template <typename Expected>
void ExpectClose(const TinyModel& model, const FullLogits& logits,
                 const std::vector<Expected>& expected) {
  EXPECT_LT(WorstThatCounts(model.config, Distances(logits, expected)),
            TheBackend().logits_tolerance);
}

std::int32_t Best(const std::vector<float>& logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

struct Family {
  std::string name;
  nlohmann::json json;
};

nlohmann::json With(nlohmann::json json, const nlohmann::json& changes) {
  json.update(changes);
  return json;
}

std::vector<Family> Families() {
  using testing::TinyDeepseekJson, testing::TinyLlamaJson, testing::TinyMoeJson;
  using testing::TinyQwen2Json;
  return {
      {"Gqa", TinyLlamaJson()},
      {"Mha", With(TinyLlamaJson(), {{"num_key_value_heads", 8}})},
      {"Mqa", With(TinyLlamaJson(), {{"num_key_value_heads", 1}})},
      {"TiedWithItsOwnHeadDim",
       With(TinyLlamaJson(), {{"tie_word_embeddings", true}, {"head_dim", 12}})},
      {"Qwen2", TinyQwen2Json()},
      {"Qwen2Untied", With(TinyQwen2Json(), {{"tie_word_embeddings", false}})},
      {"Mla", TinyDeepseekJson()},
      {"MlaWithQueryLatent", With(TinyDeepseekJson(), {{"q_lora_rank", 20}})},
      {"MlaWithHalves", With(TinyDeepseekJson(), {{"rope_interleave", false}})},
      // The latents' norms have an epsilon of their own, which is not this one.
      {"MlaWithALargeEpsilon",
       With(TinyDeepseekJson(), {{"q_lora_rank", 20}, {"rms_norm_eps", 0.5}})},
      {"Experts", TinyMoeJson()},
      {"ExpertsAloneInOneGroup", With(TinyMoeJson(), {{"n_shared_experts", 0},
                                                      {"n_group", 1},
                                                      {"topk_group", 1},
                                                      {"norm_topk_prob", false},
                                                      {"first_k_dense_replace", 0}})},
      {"LinearRope",
       With(TinyQwen2Json(), {{"rope_parameters",
                               {{"rope_type", "linear"}, {"rope_theta", 500.0}, {"factor", 4}}}})},
      // Of the four pairs the first stays, the second is between, the others are stretched.
      {"Llama3Rope", With(TinyLlamaJson(), {{"rope_scaling",
                                             {{"rope_type", "llama3"},
                                              {"factor", 8.0},
                                              {"low_freq_factor", 1.0},
                                              {"high_freq_factor", 4.0},
                                              {"original_max_position_embeddings", 64}}}})},
      {"YarnRope", With(TinyLlamaJson(), {{"rope_scaling",
                                           {{"type", "yarn"},
                                            {"factor", 8.0},
                                            {"beta_fast", 4},
                                            {"truncate", false},
                                            {"original_max_position_embeddings", 64}}}})},
      {"MlaWithYarn", With(TinyDeepseekJson(), {{"rope_scaling",
                                                 {{"type", "yarn"},
                                                  {"factor", 40},
                                                  {"beta_fast", 4},
                                                  {"beta_slow", 1},
                                                  {"mscale", 0.7},
                                                  {"mscale_all_dim", 1.2},
                                                  {"original_max_position_embeddings", 64}}}})},
  };
}

class ForwardTest : public ::testing::TestWithParam<Family> {
 protected:
  ForwardTest() : model_(testing::MakeTinyModel(GetParam().json, 7)), directory_("forward") {
    testing::WriteTinyModel(model_, directory_);
  }

  TinyModel model_;
  TinyDirectory directory_;
};

TEST_P(ForwardTest, PrefillMatchesThePlainModelOnEveryNumberOfRanks) {
  const TokenIds tokens = RandomTokens(45, 1);
  const auto expected = PlainModel(model_).Logits(tokens);
  for (const int ranks : {1, 2, 4, 8}) {
    EngineGroup group(Options(directory_), ranks);
    group.Add(5);
    const auto output = group.Step({{5, tokens}});
    SCOPED_TRACE(ranks);
    ExpectClose(model_, output[0].logits, expected);
    EXPECT_EQ(output[0].candidates[0].id, Best(output[0].logits.back()));
    EXPECT_EQ(group.engine().Length(5), 45);
    EXPECT_EQ(group.engine().BlocksUsed(5), 3);
  }
}

TEST_P(ForwardTest, TokenByTokenEqualsPrefill) {
  const TokenIds tokens = RandomTokens(37, 2);
  EngineGroup group(Options(directory_), 2);
  group.Add(1);
  const auto expected = PlainModel(model_).Logits(tokens);
  FullLogits logits;
  for (const std::int32_t token : tokens) {
    auto output = group.Step({{1, {token}}});
    logits.push_back(output[0].logits[0]);
  }
  ExpectClose(model_, logits, expected);
}

TEST_P(ForwardTest, RaggedMixedBatchEqualsEachSequenceAlone) {
  const TokenIds a = RandomTokens(70, 3), b = RandomTokens(20, 4), c = RandomTokens(33, 5);
  EngineGroup group(Options(directory_), 2);
  for (const std::uint64_t sequence : {1, 2, 3}) group.Add(sequence);
  const auto part = [](const TokenIds& ids, int begin, int end) {
    return TokenIds(ids.begin() + begin, ids.begin() + end);
  };
  const auto first = group.Step({{2, part(b, 0, 19)}, {1, part(a, 0, 40)}});
  const auto second = group.Step({{1, part(a, 40, 70)}, {3, c}, {2, part(b, 19, 20)}});
  auto of_a = first[1].logits;
  of_a.insert(of_a.end(), second[0].logits.begin(), second[0].logits.end());
  auto of_b = first[0].logits;
  of_b.insert(of_b.end(), second[2].logits.begin(), second[2].logits.end());
  const PlainModel plain(model_);
  ExpectClose(model_, of_a, plain.Logits(a));
  ExpectClose(model_, of_b, plain.Logits(b));
  ExpectClose(model_, second[1].logits, plain.Logits(c));
}

TEST_P(ForwardTest, Bf16CacheStaysClose) {
  const TokenIds tokens = RandomTokens(45, 6);
  EngineOptions options = Options(directory_);
  options.cache_dtype = DType::kBF16;
  options.block_size = 32;
  EngineGroup group(options, 2);
  group.Add(1);
  const auto output = group.Step({{1, tokens}});
  const double gap = WorstThatCounts(
      model_.config, Distances(output[0].logits, PlainModel(model_).Logits(tokens)));
  EXPECT_LT(gap, kBf16CacheTolerance);
  EXPECT_GT(gap, 1e-4) << "the cache was not rounded";
}

TEST_P(ForwardTest, ForkContinuesFromCopiedRowsAndLeavesTheOriginalAlone) {
  const TokenIds tokens = RandomTokens(40, 8);
  const TokenIds prefix(tokens.begin(), tokens.begin() + 25);
  const TokenIds rest(tokens.begin() + 25, tokens.end());
  EngineGroup group(Options(directory_), 2);
  group.Add(1);
  group.Step({{1, prefix}});
  group.OnRanks([&](int rank) { EXPECT_TRUE(group.engine(rank).Fork(1, 2, {}).ok()); });
  EXPECT_EQ(group.engine().Rows(2), 25);
  group.Step({{2, RandomTokens(15, 9)}});
  const auto output = group.Step({{1, rest}});
  const auto expected = PlainModel(model_).Logits(tokens);
  const std::vector<testing::Vector> of_rest(expected.begin() + 25, expected.end());
  ExpectClose(model_, output[0].logits, of_rest);
}

INSTANTIATE_TEST_SUITE_P(Families, ForwardTest, ::testing::ValuesIn(Families()),
                         [](const auto& info) { return info.param.name; });

TEST(WeightsTest, WeightsInShardsAndInHalfPrecisionAreTheSameModel) {
  const TinyModel model = testing::MakeTinyModel(testing::TinyLlamaJson(), 11);
  const TokenIds tokens = RandomTokens(20, 10);
  const auto expected = PlainModel(model).Logits(tokens);
  for (const std::string dtype : {"F32", "BF16", "F16"}) {
    for (const bool sharded : {false, true}) {
      TinyDirectory directory("dtypes");
      testing::WriteTinyModel(model, directory, dtype, sharded);
      EngineGroup group(Options(directory), 1);
      group.Add(1);
      SCOPED_TRACE(dtype);
      ExpectClose(model, group.Step({{1, tokens}})[0].logits, expected);
    }
  }
}

TEST(WeightsTest, DrawnWeightsAreOneModelOnEveryBackendAndNumberOfRanks) {
  for (const nlohmann::json& json : {testing::TinyQwen2Json(), testing::TinyMoeJson()}) {
    const TinyModel model{.json = json, .config = *ParseModelConfig(json.dump(), "drawn")};
    TinyDirectory directory("drawn");
    testing::WriteFile(directory / "config.json", json.dump());
    const TokenIds tokens = RandomTokens(20, 13);
    EngineOptions options = Options(directory);
    options.random_weights = 5;
    EngineOptions of_host = options;
    of_host.backend = Backend::kCpu;
    of_host.cache_dtype = DType::kF32;
    EngineGroup host(of_host, 1);
    host.Add(1);
    const FullLogits expected = host.Step({{1, tokens}})[0].logits;
    EXPECT_NE(expected[0], expected[1]);
    for (const int ranks : {1, 2, 4}) {
      EngineGroup group(options, ranks);
      group.Add(1);
      ExpectClose(model, group.Step({{1, tokens}})[0].logits, expected);
    }
  }
}

TEST(WeightsTest, EqualExpertsAreTheLowestOnEveryNumberOfRanks) {
  TinyModel model = testing::MakeTinyModel(testing::TinyMoeJson(), 11);
  for (auto& [name, tensor] : model.tensors) {
    if (name.find("mlp.gate.") == std::string::npos) continue;
    std::fill(tensor.values.begin(), tensor.values.end(), 0.0F);
  }
  TinyDirectory directory("expert-ties");
  testing::WriteTinyModel(model, directory);
  const TokenIds tokens = RandomTokens(20, 12);
  const auto expected = PlainModel(model).Logits(tokens);
  for (const int ranks : {1, 2, 4}) {
    EngineGroup group(Options(directory), ranks);
    group.Add(1);
    ExpectClose(model, group.Step({{1, tokens}})[0].logits, expected);
  }
}

TEST(WeightsTest, EqualLogitsGiveTheLowestIdOnEveryRank) {
  TinyModel model = testing::MakeTinyModel(testing::TinyLlamaJson(), 11);
  std::vector<float>& head = model.tensors["lm_head.weight"].values;
  std::fill(head.begin(), head.end(), 0.0F);
  TinyDirectory directory("ties");
  testing::WriteTinyModel(model, directory);
  EngineGroup group(Options(directory), 4);
  group.Add(1);
  EXPECT_EQ(group.Step({{1, {5, 6}}})[0].candidates.at(0).id, 0);
}

}  // namespace
}  // namespace pinboard::engine
