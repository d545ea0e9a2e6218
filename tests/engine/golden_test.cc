// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Logits, hidden states and greedy continuations against transformers in float32 (eval/golden.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>
#include <tuple>

#include "absl/strings/str_replace.h"
#include "engine/json_file.h"
#include "tests/engine/engine_group.h"
#include "tests/engine/recording_shard.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;
using testing::EngineGroup;
using testing::RecordingShard;
using testing::TokenIds;

constexpr double kTolerance = 1e-3;

struct GoldenModel {
  std::string name;
  std::string directory;  // below the source directory
  std::string golden;     // likewise
};

std::vector<GoldenModel> Models() {
  const std::string data = "tests/testdata/";
  std::vector<GoldenModel> models;
  for (const std::string name : {"llama", "qwen2", "deepseek", "llama-llama3", "deepseek-moe"}) {
    models.push_back({absl::StrReplaceAll("Random_" + name, {{"-", "_"}}), data + "random-" + name,
                      data + "random-" + name + "/golden.json"});
  }
  for (const std::string name : {"llama", "deepseek"}) {
    models.push_back(
        {"Tiny_" + name, "models/tiny-" + name, data + "golden/tiny-" + name + ".json"});
  }
  return models;
}

std::string SourcePath(const std::string& path) {
  const char* root = std::getenv("PINBOARD_SOURCE_DIR");
  return std::string(root == nullptr ? "." : root) + "/" + path;
}

class GoldenTest : public ::testing::TestWithParam<std::tuple<GoldenModel, int>> {
 protected:
  GoldenTest()
      : golden_(*ParseJsonObject(*ReadFile(SourcePath(model().golden), "run eval/golden.py"),
                                 model().golden)),
        prompt_(golden_["prompt"].get<TokenIds>()),
        group_({.model_dir = SourcePath(model().directory),
                .cache_blocks = 16,
                .cache_dtype = DType::kF32},
               std::get<1>(GetParam())) {}

  static const GoldenModel& model() { return std::get<0>(GetParam()); }

  json golden_;
  TokenIds prompt_;
  EngineGroup group_;
};

TEST_P(GoldenTest, LogitsMatchTransformers) {
  group_.Add(1);
  const auto logits = group_.Step({{1, prompt_}})[0].logits;
  for (const json& top : golden_["top"]) {
    const auto& row = logits[top["position"].get<std::size_t>()];
    for (std::size_t i = 0; i < top["ids"].size(); ++i) {
      EXPECT_NEAR(row[top["ids"][i].get<std::size_t>()], top["logits"][i].get<double>(), kTolerance)
          << "position " << top["position"];
    }
  }
  const json& last = golden_["last_logits"];
  ASSERT_EQ(last.size(), logits.back().size());
  for (std::size_t id = 0; id < last.size(); ++id) {
    ASSERT_NEAR(logits.back()[id], last[id].get<double>(), kTolerance) << "id " << id;
  }
}

TEST_P(GoldenTest, TheAttentionScaleMatchesTransformers) {
  EXPECT_FLOAT_EQ(group_.engine().config().attention_scale(),
                  golden_["attention_scale"].get<float>());
}

TEST_P(GoldenTest, HiddenStatesMatchTransformersAfterEveryLayer) {
  std::vector<RecordingShard> shards(group_.ranks());
  for (int rank = 0; rank < group_.ranks(); ++rank) {
    ASSERT_TRUE(group_.engine(rank).Attach(&shards[rank]).ok());
  }
  group_.Add(1);
  group_.Step({{1, prompt_}});
  const json& layers = golden_["layers_at_last_position"];
  const std::size_t width = group_.engine().config().hidden_size;
  for (const RecordingShard& shard : shards) {
    ASSERT_EQ(shard.hidden.size(), layers.size());
    EXPECT_EQ(shard.hidden, shards[0].hidden) << "what decides differs between ranks";
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
      const auto row = shard.hidden[layer].end() - static_cast<std::ptrdiff_t>(width);
      const json& values = layers[layer]["first_values"];
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_NEAR(row[i], values[i].get<double>(), kTolerance) << "layer " << layer;
      }
      const double squares = std::inner_product(row, row + width, row, 0.0);
      EXPECT_NEAR(std::sqrt(squares), layers[layer]["norm"].get<double>(), kTolerance);
    }
  }
}

TEST_P(GoldenTest, GreedyDecodingMatchesTransformers) {
  group_.Add(1);
  TokenIds generated;
  TokenIds next = prompt_;
  const auto expected = golden_["greedy"].get<TokenIds>();
  while (generated.size() < expected.size()) {
    generated.push_back(group_.Step({{1, next}})[0].candidates.at(0).id);
    next = {generated.back()};
  }
  EXPECT_EQ(generated, expected);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest,
                         ::testing::Combine(::testing::ValuesIn(Models()),
                                            ::testing::Values(1, 2, 4)),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + "_tp" +
                                  std::to_string(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace pinboard::engine
