// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The engine on the device against the engine on the host, on the shipped
// models: the same calls, logits token by token, and the same tokens wherever
// the host's best is clearly the best.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "engine/json_file.h"
#include "tests/engine/engine_group.h"

namespace pinboard::engine {
namespace {

using testing::EngineGroup;
using testing::FullLogits;
using testing::GroupInput;
using testing::GroupOutput;
using testing::TokenIds;

/// Of |logits - host's| / |host's| of a token. The host rounds to bf16 in the
/// cache alone, the device at every product too.
constexpr double kTolerance = 3e-2;
/// The best logit is clearly the best where it leads by so much of |logits| /
/// sqrt(vocabulary).
constexpr double kClearLead = 0.5;

std::string SourcePath(const std::string& path) {
  const char* root = std::getenv("PINBOARD_SOURCE_DIR");
  return std::string(root == nullptr ? "." : root) + "/" + path;
}

struct Distance {
  double worst = 0.0;  // of a token
  int tokens = 0;
  int clear = 0;  // tokens whose best logit is clearly the best
};

class BackendsTest : public ::testing::TestWithParam<std::tuple<std::string, int>> {
 protected:
  explicit BackendsTest(bool layer_tables = false)
      : host_(Options(Backend::kCpu, layer_tables), std::get<1>(GetParam())),
        device_(Options(Backend::kCuda, layer_tables), std::get<1>(GetParam())) {}
  ~BackendsTest() override {
    std::printf("tokens %d, worst |logits - host| / |host| %.4f, best clear of %d\n",
                distance_.tokens, distance_.worst, distance_.clear);
  }

  static EngineOptions Options(Backend backend, bool layer_tables) {
    return {.backend = backend,
            .model_dir = SourcePath("models/tiny-" + std::get<0>(GetParam())),
            .cache_blocks = 96,
            .layer_tables = layer_tables};
  }

  /// Both engines, each with its ranks.
  void OnBoth(const std::function<absl::Status(Engine&)>& body) {
    for (EngineGroup* group : {&host_, &device_}) {
      group->OnRanks([&](int rank) {
        const absl::Status status = body(group->engine(rank));
        EXPECT_TRUE(status.ok()) << status;
      });
    }
  }
  void Add(std::uint64_t sequence) {
    OnBoth([&](Engine& engine) { return engine.AddSequence(sequence, {}); });
  }

  /// The host's outputs, once the device's have been found close.
  std::vector<GroupOutput> Step(const std::vector<GroupInput>& inputs) {
    auto expected = host_.Step(inputs);
    const auto made = device_.Step(inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      ExpectClose(made[i].logits, expected[i].logits);
      const std::vector<float>& last = made[i].logits.back();
      EXPECT_EQ(made[i].candidates[0].id,
                std::max_element(last.begin(), last.end()) - last.begin());
    }
    return expected;
  }

  void ExpectClose(const FullLogits& made, const FullLogits& expected) {
    ASSERT_EQ(made.size(), expected.size());
    for (std::size_t token = 0; token < made.size(); ++token) {
      double gap = 0, norm = 0;
      for (std::size_t i = 0; i < made[token].size(); ++i) {
        const double difference = made[token][i] - expected[token][i];
        gap += difference * difference;
        norm += static_cast<double>(expected[token][i]) * expected[token][i];
      }
      const double relative = std::sqrt(gap / norm);
      ASSERT_LT(relative, kTolerance) << "token " << token;
      distance_.worst = std::max(distance_.worst, relative);
      ++distance_.tokens;
      std::vector<float> sorted = expected[token];
      std::partial_sort(sorted.begin(), sorted.begin() + 2, sorted.end(), std::greater<>());
      if (sorted[0] - sorted[1] < kClearLead * std::sqrt(norm / sorted.size())) continue;
      ++distance_.clear;
      const auto best = [](const std::vector<float>& logits) {
        return std::max_element(logits.begin(), logits.end()) - logits.begin();
      };
      EXPECT_EQ(best(made[token]), best(expected[token])) << "token " << token;
    }
  }

  /// A text of the model's kind, longer than a block and than a tile of
  /// queries.
  static TokenIds Prompt() {
    const std::string path = "tests/testdata/golden/tiny-" + std::get<0>(GetParam()) + ".json";
    const auto golden = ParseJsonObject(*ReadFile(SourcePath(path), "run eval/golden.py"), path);
    TokenIds once = (*golden)["prompt"].get<TokenIds>(), prompt;
    while (prompt.size() < 300) prompt.insert(prompt.end(), once.begin(), once.end());
    prompt.resize(300);
    return prompt;
  }

  EngineGroup host_, device_;
  Distance distance_;
};

TEST_P(BackendsTest, PrefillAndDecodingAreTheHosts) {
  Add(1);
  TokenIds next = Prompt();
  for (int step = 0; step < 24; ++step) next = {Step({{1, next}})[0].candidates[0].id};
}

TEST_P(BackendsTest, ChunksAndTokensOfSeveralSequencesAreMixed) {
  for (const std::uint64_t sequence : {1, 2, 3}) Add(sequence);
  const TokenIds prompt = Prompt();
  const auto part = [&](int begin, int end) {
    return TokenIds(prompt.begin() + begin, prompt.begin() + end);
  };
  Step({{1, part(0, 130)}, {2, part(0, 1)}});
  Step({{2, part(1, 50)}, {1, part(130, 131)}, {3, part(100, 300)}});
  Step({{3, part(0, 1)}, {2, part(50, 51)}, {1, part(131, 132)}});
}

// Steps of decoding are replayed: with other tokens, rows and blocks, and after what they work in
// has moved.
TEST_P(BackendsTest, StepsOfDecodingAreReplayedWhateverComesBetween) {
  for (const std::uint64_t sequence : {1, 2, 3}) Add(sequence);
  const TokenIds prompt = Prompt();
  const auto decode = [&] {
    for (int step = 0; step < 5; ++step) Step({{1, {prompt[step]}}, {2, {prompt[step + 9]}}});
  };
  Step({{1, TokenIds(prompt.begin(), prompt.begin() + 20)}, {2, {5}}});
  decode();
  Step({{3, prompt}});
  decode();
  OnBoth([](Engine& engine) { return engine.SwapOut(1); });
  OnBoth([](Engine& engine) { return engine.SwapIn(1); });
  decode();
  for (int step = 0; step < 5; ++step) Step({{3, {7}}, {1, {prompt[step]}}});
}

TEST_P(BackendsTest, AForkGoesOnAndLeavesTheOriginalAlone) {
  Add(1);
  const TokenIds prompt = Prompt();
  Step({{1, TokenIds(prompt.begin(), prompt.begin() + 90)}});
  OnBoth([](Engine& engine) { return engine.Fork(1, 2, {}); });
  OnBoth([](Engine& engine) { return engine.ForkPrefix(1, 3, 37, {}); });
  Step({{2, {7, 8, 9}}, {1, {4}}, {3, {11}}});
  Step({{1, {5}}, {2, {10}}, {3, {12}}});
}

TEST_P(BackendsTest, ASequenceComesBackFromHostMemoryIntoOtherBlocks) {
  for (const std::uint64_t sequence : {1, 2}) Add(sequence);
  const TokenIds prompt = Prompt();
  Step({{1, prompt}, {2, TokenIds(prompt.begin(), prompt.begin() + 60)}});
  OnBoth([](Engine& engine) { return engine.SwapOut(1); });
  Step({{2, TokenIds(prompt.begin() + 60, prompt.begin() + 200)}});
  OnBoth([](Engine& engine) { return engine.SwapIn(1); });
  Step({{1, {3}}, {2, {4}}});
}

class LayerTablesBackendsTest : public BackendsTest {
 protected:
  LayerTablesBackendsTest() : BackendsTest(/*layer_tables=*/true) {}
};

TEST_P(LayerTablesBackendsTest, EveryLayerIsReadThroughATableOfItsOwn) {
  for (const std::uint64_t sequence : {1, 2}) Add(sequence);
  const TokenIds prompt = Prompt();
  Step({{1, TokenIds(prompt.begin(), prompt.begin() + 100)}, {2, {5}}});
  OnBoth([](Engine& engine) { return engine.SwapOut(1); });
  Step({{2, TokenIds(prompt.begin(), prompt.begin() + 40)}});
  OnBoth([](Engine& engine) { return engine.SwapIn(1); });
  Step({{2, {6}}, {1, {3}}});
}

std::string NameOf(const ::testing::TestParamInfo<std::tuple<std::string, int>>& info) {
  return std::get<0>(info.param) + "_tp" + std::to_string(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Models, BackendsTest,
                         ::testing::Combine(::testing::Values("llama", "deepseek"),
                                            ::testing::Values(1, 2)),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Models, LayerTablesBackendsTest,
                         ::testing::Combine(::testing::Values("llama", "deepseek"),
                                            ::testing::Values(1, 2)),
                         NameOf);

}  // namespace
}  // namespace pinboard::engine
