// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The engine after rounds that leave its layers unequal rows, against the plain model with a mask.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "shard/shard_factory.h"
#include "tests/engine/engine_group.h"
#include "tests/engine/plain_model.h"
#include "tests/engine/tiny_model.h"
#include "tests/support/seeded_random.h"

namespace pinboard::engine {
namespace {

using testing::EngineGroup;
using testing::PlainModel;
using testing::TokenIds;

constexpr int kPrompt = 150;
constexpr int kBetween = 40;  // tokens between the two rounds
constexpr int kAfter = 12;

struct Case {
  std::string model;
  std::string layers;
  std::string scope;
  bool layer_tables;
};

class LayerTables : public ::testing::TestWithParam<Case> {};

/// Two rounds; what each layer of rank 0 holds after them.
class TwoRounds {
 public:
  TwoRounds(const Case& c, const std::string& directory, int ranks)
      : group_({.model_dir = directory,
                .cache_blocks = 16,
                .layer_tables = c.layer_tables,
                .cache_dtype = DType::kF32},
               ranks),
        shards_(ranks) {
    SequenceOptions options;
    options.policy = "snapkv";
    options.layers = c.layers;
    options.scope = c.scope;
    options.window = 8;
    options.budget = 0.3;
    group_.OnRanks([&](int rank) {
      ShardOptions shard;
      shard.model = group_.engine(rank).MakeShardModel();
      shard.census = true;
      shards_[rank] = *CreateShard(shard, group_.communicator(rank), nullptr);
      ASSERT_TRUE(group_.engine(rank).Attach(shards_[rank].get()).ok());
      ASSERT_TRUE(group_.engine(rank).AddSequence(1, options).ok());
    });
  }

  void Feed(const TokenIds& tokens) { logits_ = group_.Step({{1, tokens}})[0].logits; }

  void Compress() {
    group_.OnRanks([&](int rank) {
      const auto outcomes = group_.engine(rank).Compress({1});
      ASSERT_TRUE(outcomes.ok()) << outcomes.status();
      ASSERT_TRUE(outcomes->front().applied) << outcomes->front().kept_all_because;
    });
  }

  std::vector<std::set<int>> Held() {
    std::vector<std::set<int>> held;
    for (int layer = 0; layer < group_.engine().config().layers; ++layer) {
      const auto positions = shards_[0]->RowPositions(1, layer);
      held.emplace_back(positions.begin(), positions.end());
      for (const auto& shard : shards_) EXPECT_EQ(shard->RowPositions(1, layer), positions);
      EXPECT_EQ(group_.engine().Rows(1, layer), static_cast<int>(positions.size()));
    }
    return held;
  }

  const testing::FullLogits& logits() const { return logits_; }
  Engine& engine() { return group_.engine(); }

 private:
  EngineGroup group_;
  std::vector<std::unique_ptr<Shard>> shards_;
  testing::FullLogits logits_;
};

TEST_P(LayerTables, EachLayerAttendsToWhatItHasKeptAndToNothingElse) {
  const auto json =
      GetParam().model == "deepseek" ? testing::TinyDeepseekJson() : testing::TinyLlamaJson();
  const testing::TinyModel model = testing::MakeTinyModel(json, 11);
  testing::TinyDirectory directory("layer-tables");
  testing::WriteTinyModel(model, directory);
  SeededRandom random;
  TokenIds tokens(kPrompt + kBetween + kAfter);
  for (auto& token : tokens) token = random.Int(3, 95);
  const auto part = [&](int begin, int end) {
    return TokenIds(tokens.begin() + begin, tokens.begin() + end);
  };

  std::vector<std::set<int>> first_alone;
  for (const int ranks : {1, 2}) {
    TwoRounds run(GetParam(), directory.path(), ranks);
    run.Feed(part(0, kPrompt));
    run.Compress();
    const auto first = run.Held();
    run.Feed(part(kPrompt, kPrompt + kBetween));
    run.Compress();
    const auto second = run.Held();
    run.Feed(part(kPrompt + kBetween, kPrompt + kBetween + kAfter));

    const PlainModel plain(model, [&](int layer, int token, int before) {
      if (token < kPrompt) return true;
      if (token < kPrompt + kBetween) return before >= kPrompt || first[layer].contains(before);
      return before >= kPrompt + kBetween || second[layer].contains(before);
    });
    const auto expected = plain.Logits(tokens);
    double gap = 0;
    for (int token = 0; token < kAfter; ++token) {
      for (std::size_t i = 0; i < run.logits()[token].size(); ++i) {
        gap = std::max(gap,
                       std::abs(run.logits()[token][i] - expected[kPrompt + kBetween + token][i]));
      }
    }
    EXPECT_LT(gap, 1e-3);
    if (ranks == 1) first_alone = first;
    EXPECT_EQ(first, first_alone) << "one rank and two keep the same";
    EXPECT_EQ(first[0].size() != first[2].size(), GetParam().layers == "pyramid");
    if (GetParam().scope == "global") {
      EXPECT_EQ(second[0], second[2]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, LayerTables,
                         ::testing::Values(Case{"llama", "pyramid", "layer", true},
                                           Case{"deepseek", "pyramid", "layer", true},
                                           Case{"llama", "uniform", "global", true},
                                           Case{"llama", "uniform", "global", false},
                                           Case{"deepseek", "uniform", "layer", false}),
                         [](const auto& info) {
                           return info.param.model + "_" + info.param.layers + "_" +
                                  info.param.scope + (info.param.layer_tables ? "_own" : "_shared");
                         });

TEST(LayerBlocks, ForksAndSwapsCopyEveryLayersOwnRows) {
  const testing::TinyModel model = testing::MakeTinyModel(testing::TinyLlamaJson(), 11);
  testing::TinyDirectory directory("layer-blocks");
  testing::WriteTinyModel(model, directory);
  TwoRounds run({"llama", "pyramid", "layer", true}, directory.path(), 1);
  SeededRandom random;
  TokenIds tokens(kPrompt);
  for (auto& token : tokens) token = random.Int(3, 95);
  run.Feed(tokens);
  run.Compress();
  Engine& engine = run.engine();
  ASSERT_TRUE(engine.Fork(1, 2, {.policy = "full"}).ok());
  EXPECT_EQ(engine.BlocksUsed(2), engine.BlocksUsed(1));
  EXPECT_EQ(engine.Rows(2, 0), engine.Rows(1, 0));
  EXPECT_LT(engine.Rows(2, 2), engine.Rows(2, 0));
  EXPECT_EQ(engine.ResidentKvBytes(1), engine.BlocksUsed(1) * engine.BlockBytes());
  ASSERT_TRUE(engine.SwapOut(1).ok());
  EXPECT_EQ(engine.BlocksMissing(1, 0), engine.BlocksUsed(2));
  ASSERT_TRUE(engine.SwapIn(1).ok());
  const TokenIds next = {7, 8, 9};
  const auto outputs =
      engine.Step({{1, next, LogitsWanted::kLast}, {2, next, LogitsWanted::kLast}});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT((*outputs)[0].logits,
              ::testing::Pointwise(::testing::FloatNear(1e-5F), (*outputs)[1].logits));
}

}  // namespace
}  // namespace pinboard::engine
