// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/model_config.h"
#include "tests/engine/plain_rope.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// As the large models have them.
json Llama31() {
  return {{"rope_type", "llama3"},
          {"factor", 8.0},
          {"low_freq_factor", 1.0},
          {"high_freq_factor", 4.0},
          {"original_max_position_embeddings", 8192}};
}
json DeepseekYarn() {
  return {{"type", "yarn"},
          {"factor", 40},
          {"beta_fast", 32},
          {"beta_slow", 1},
          {"mscale", 1.0},
          {"mscale_all_dim", 1.0},
          {"original_max_position_embeddings", 4096}};
}

json With(json object, const json& changes) {
  object.update(changes);
  return object;
}

absl::StatusOr<ModelConfig> Parse(json model, const char* name, const json& rope) {
  model[name] = rope;
  return ParseModelConfig(model.dump(), "C");
}

RopeConfig Rope(const json& rope) {
  const json model = With(testing::TinyLlamaJson(), {{"rope_theta", 10000.0}});
  return Parse(model, "rope_scaling", rope)->rope;
}

std::string Refusal(const json& rope) {
  return std::string(Parse(testing::TinyLlamaJson(), "rope_scaling", rope).status().message());
}

TEST(RopeTest, ScaledFrequenciesAreThoseOfTheirAuthorsForTheSizesOfLargeModels) {
  const int dim = 64;
  for (const json& object : {Llama31(), DeepseekYarn(), With(DeepseekYarn(), {{"truncate", false}}),
                             json{{"type", "linear"}, {"factor", 3}}, json::object()}) {
    const RopeConfig rope = Rope(object);
    const std::vector<double> frequencies = RopeFrequencies(rope, dim);
    ASSERT_EQ(frequencies.size(), dim / 2U);
    for (int i = 0; i < dim / 2; ++i) {
      EXPECT_NEAR(frequencies[i] / testing::PlainFrequency(rope, i, dim / 2), 1, 1e-12)
          << object << " pair " << i;
    }
  }
}

TEST(RopeTest, FastPairsStayAndSlowPairsAreStretched) {
  for (const json& object : {Llama31(), DeepseekYarn()}) {
    const std::vector<double> plain = RopeFrequencies(Rope(json::object()), 64);
    const std::vector<double> scaled = RopeFrequencies(Rope(object), 64);
    EXPECT_DOUBLE_EQ(scaled.front(), plain.front());
    EXPECT_DOUBLE_EQ(scaled.back(), plain.back() / object["factor"].get<double>());
    EXPECT_TRUE(std::is_sorted(scaled.rbegin(), scaled.rend())) << object;
  }
}

TEST(RopeTest, ARampOfNoWidthIsAStep) {
  const RopeConfig rope = Rope({{"type", "yarn"},
                                {"factor", 2},
                                {"beta_fast", 1e9},
                                {"beta_slow", 1e9},
                                {"original_max_position_embeddings", 64}});
  for (const double frequency : RopeFrequencies(rope, 8)) EXPECT_TRUE(std::isfinite(frequency));
}

TEST(RopeTest, YarnScalesRotationsAndTheLogitsOfLatentAttention) {
  const double log40 = std::log(40.0);
  EXPECT_EQ(Rope(Llama31()).RotationScale(), 1.0);
  EXPECT_EQ(Rope(Llama31()).LatentLogitsScale(), 1.0);
  EXPECT_EQ(Rope(DeepseekYarn()).RotationScale(), 1.0);
  EXPECT_DOUBLE_EQ(Rope(DeepseekYarn()).LatentLogitsScale(), std::pow(0.1 * log40 + 1, 2));
  const RopeConfig published = Rope(With(DeepseekYarn(), {{"mscale_all_dim", 0}}));
  EXPECT_DOUBLE_EQ(published.RotationScale(), 0.1 * log40 + 1);
  EXPECT_EQ(published.LatentLogitsScale(), 1.0);
  EXPECT_DOUBLE_EQ(Rope(With(DeepseekYarn(), {{"mscale", 0.707}})).RotationScale(),
                   (0.0707 * log40 + 1) / (0.1 * log40 + 1));
  EXPECT_EQ(Rope(With(DeepseekYarn(), {{"attention_factor", 1.5}})).RotationScale(), 1.5);
}

TEST(RopeTest, TheAttentionScaleIsCorrectedForLatentAttentionAlone) {
  const double correction = std::pow(0.1 * std::log(40.0) + 1, 2);
  const json mla = testing::TinyDeepseekJson(), llama = testing::TinyLlamaJson();
  EXPECT_FLOAT_EQ(Parse(mla, "rope_scaling", DeepseekYarn())->attention_scale(),
                  correction / std::sqrt(20.0));
  EXPECT_FLOAT_EQ(Parse(llama, "rope_scaling", DeepseekYarn())->attention_scale(),
                  1 / std::sqrt(8.0));
}

TEST(RopeTest, CosinesAndSinesCarryTheRotationScale) {
  RopeTable table(2, Rope(With(DeepseekYarn(), {{"attention_factor", 2.0}})), false);
  table.SetPositions({0});
  float vector[2] = {3, 4};
  table.Rotate(0, 1, 2, vector);
  EXPECT_EQ(vector[0], 6);
  EXPECT_EQ(vector[1], 8);
}

TEST(RopeTest, NewerSpellingsAreTheSame) {
  const json llama = testing::TinyLlamaJson();
  const RopeConfig old = Parse(llama, "rope_scaling", Llama31())->rope;
  const RopeConfig renamed = Parse(llama, "rope_parameters", Llama31())->rope;
  EXPECT_EQ(RopeFrequencies(renamed, 64), RopeFrequencies(old, 64));
  // What rope_parameters says stands over the top.
  const json inside = With(Llama31(), {{"rope_theta", 5e5}});
  EXPECT_EQ(Parse(llama, "rope_parameters", inside)->rope.theta, 5e5);
  // An empty or absent rope_scaling leaves the word to rope_parameters.
  const json both = With(llama, {{"rope_scaling", json::object()}});
  EXPECT_EQ(Parse(both, "rope_parameters", Llama31())->rope.type, RopeType::kLlama3);
  const json first = With(llama, {{"rope_scaling", DeepseekYarn()}});
  EXPECT_EQ(Parse(first, "rope_parameters", Llama31())->rope.type, RopeType::kYarn);
}

TEST(RopeTest, TheOriginalLengthFallsBackToTheModels) {
  json yarn = DeepseekYarn();
  yarn.erase("original_max_position_embeddings");
  EXPECT_EQ(Rope(yarn).original_max_position_embeddings, 512);
  json model = With(testing::TinyLlamaJson(), {{"original_max_position_embeddings", 128}});
  EXPECT_EQ(Parse(model, "rope_scaling", yarn)->rope.original_max_position_embeddings, 128);
  model = testing::TinyLlamaJson();
  model.erase("max_position_embeddings");
  EXPECT_EQ(Parse(model, "rope_scaling", yarn).status().message(),
            "C: rope_scaling: \"original_max_position_embeddings\" is missing");
}

TEST(RopeTest, AValueThatMakesNoSenseIsNamed) {
  json incomplete = Llama31();
  incomplete.erase("low_freq_factor");
  EXPECT_EQ(Refusal(incomplete), "C: rope_scaling: \"low_freq_factor\" is missing");
  EXPECT_THAT(Refusal({{"type", "linear"}}), HasSubstr("\"factor\" is missing"));
  EXPECT_THAT(Refusal({{"type", "linear"}, {"factor", 0.5}}), HasSubstr("at least 1"));
  EXPECT_THAT(Refusal({{"type", 3}}), HasSubstr("rope type 3"));
  EXPECT_THAT(Refusal(json::array()), HasSubstr("must be an object"));
  EXPECT_THAT(Refusal(With(Llama31(), {{"high_freq_factor", 1.0}})), HasSubstr("greater than"));
  EXPECT_THAT(Refusal(With(DeepseekYarn(), {{"beta_fast", 0.5}})), HasSubstr("\"beta_fast\""));
  EXPECT_THAT(Refusal(With(DeepseekYarn(), {{"mscale", -1}})), HasSubstr("\"mscale\""));
  EXPECT_THAT(Refusal(With(DeepseekYarn(), {{"rope_theta", 1}})), HasSubstr("\"rope_theta\""));
}

}  // namespace
}  // namespace pinboard::engine
