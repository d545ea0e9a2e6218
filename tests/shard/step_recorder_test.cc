// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/step_recorder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "tests/support/seeded_random.h"

namespace pinboard {
namespace {

constexpr int kLayers = 3;
constexpr int kHidden = 512;
constexpr int kTokens = 96;

/// A recorder that has seen one step of one sequence.
struct Recorded {
  explicit Recorded(int sketch_dim) {
    context.operations = MakeHostOperations();
    context.options.model.layers = kLayers;
    context.options.model.hidden_dim = kHidden;
    context.options.model.block_size = 16;
    context.options.sketch_dim = sketch_dim;
    context.sequences[1].layers.resize(kLayers);
  }

  void See(const std::vector<std::vector<float>>& hidden) {
    std::vector<std::int32_t> table(kTokens / 16);
    std::iota(table.begin(), table.end(), 0);
    StepRecorder recorder(&context);
    const StepEntry entry{1, kTokens, {table}};
    ASSERT_TRUE(recorder.Begin({&entry, 1}).ok());
    for (int layer = 0; layer < kLayers; ++layer) {
      ASSERT_TRUE(recorder.Hidden(layer, hidden[layer]).ok());
    }
    workspace_bytes = recorder.workspace_bytes();
    recorder.Finish(std::vector<float>(kTokens));
  }

  const std::vector<float>& shift(int layer) {
    return context.sequences[1].layers[layer].pending_shift;
  }

  ShardContext context;
  std::size_t workspace_bytes = 0;
};

/// States that drift from layer to layer, as a residual stream does.
std::vector<std::vector<float>> DriftingStates(SeededRandom* random) {
  std::vector<std::vector<float>> hidden{random->Normals(kTokens * kHidden)};
  for (int layer = 1; layer < kLayers; ++layer) {
    std::vector<float> next = random->Normals(kTokens * kHidden);
    for (std::size_t i = 0; i < next.size(); ++i) next[i] = 0.5F * next[i] + hidden.back()[i];
    hidden.push_back(std::move(next));
  }
  return hidden;
}

TEST(StepRecorderTest, ASketchGivesTheShiftWithinItsBoundFromLessMemory) {
  SeededRandom random;
  const auto hidden = DriftingStates(&random);
  Recorded whole(0);
  whole.See(hidden);
  constexpr int kWidth = 128;
  Recorded sketched(kWidth);
  sketched.See(hidden);

  for (int layer = 0; layer < kLayers; ++layer) {
    ASSERT_EQ(sketched.shift(layer).size(), kTokens);
    double squares = 0.0;
    for (int token = 0; token < kTokens; ++token) {
      const double error = sketched.shift(layer)[token] - whole.shift(layer)[token];
      EXPECT_LT(std::abs(error), 5 / std::sqrt(kWidth)) << layer << " " << token;
      squares += error * error;
    }
    EXPECT_LT(std::sqrt(squares / kTokens), 1 / std::sqrt(kWidth)) << layer;
  }
  EXPECT_GT(whole.shift(0).front(), 0.05F) << "the states must differ, or every sketch is right";
  const std::size_t states = std::size_t{kLayers} * kTokens * kHidden * sizeof(float);
  EXPECT_GE(whole.workspace_bytes - sketched.workspace_bytes,
            states - states * kWidth / kHidden - kHidden * kWidth * sizeof(float));
}

TEST(StepRecorderTest, TheLastLayersShiftIsZeroWithASketchToo) {
  SeededRandom random;
  Recorded sketched(32);
  sketched.See(DriftingStates(&random));
  for (const float shift : sketched.shift(kLayers - 1)) EXPECT_NEAR(shift, 0.0F, 1e-6);
}

}  // namespace
}  // namespace pinboard
