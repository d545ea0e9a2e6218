// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The sums of exponentials that a shard is told on the device, against those of the host.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "base/cuda/cuda_status.h"
#include "tests/engine/engine_group.h"
#include "tests/engine/recording_shard.h"

namespace pinboard::engine {
namespace {

using testing::EngineGroup;
using testing::TokenIds;

/// Differences as shares of a sum, or of 1 below that. Queries, cached rows and each layer's hidden
/// states are rounded to bf16 on the device, 2^-9 of a logit each, which adds up in a few of them.
constexpr double kMeanTolerance = 5e-3;
constexpr double kWorstTolerance = 5e-2;

/// Takes down the sums and nothing else, from wherever they lie.
class SumsShard final : public testing::RecordingShard {
 public:
  Status ObserveQueries(int, std::span<const float>) override { return {}; }
  Status ObserveHidden(int, std::span<const float>) override { return {}; }
  Status ObserveLogits(int, int, std::span<const float>) override { return {}; }
  Status ObserveLogSumExps(int, std::span<const float> values) override {
    std::vector<float>& copy = log_sum_exps.emplace_back(values.size());
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(copy.data(), values.data(), values.size_bytes(), cudaMemcpyDefault),
              cudaSuccess);
    return {};
  }
};

struct Side {
  Side(const std::string& model, Backend backend)
      : group({.backend = backend,
               .model_dir =
                   [&] {
                     const char* root = std::getenv("PINBOARD_SOURCE_DIR");
                     return std::string(root == nullptr ? "." : root) + "/models/tiny-" + model;
                   }(),
               .cache_blocks = 64},
              1) {
    EXPECT_TRUE(group.engine().Attach(&shard).ok());
    for (const std::uint64_t sequence : {1, 2}) group.Add(sequence);
  }
  ~Side() {
    for (const std::uint64_t sequence : {1, 2}) group.engine().Remove(sequence).IgnoreError();
    group.engine().Attach(nullptr).IgnoreError();
  }
  void Step(const TokenIds& first, const TokenIds& second) {
    const absl::Status stepped =
        group.engine()
            .Step({{.sequence = 1, .tokens = first}, {.sequence = 2, .tokens = second}})
            .status();
    ASSERT_TRUE(stepped.ok()) << stepped;
  }

  SumsShard shard;
  EngineGroup group;
};

void ExpectNear(const std::vector<float>& made, const std::vector<float>& expected) {
  ASSERT_EQ(made.size(), expected.size());
  double sum = 0.0, worst = 0.0;
  for (std::size_t i = 0; i < made.size(); ++i) {
    const double share = std::abs(made[i] - expected[i]) / std::max(1.0F, std::abs(expected[i]));
    sum += share;
    worst = std::max(worst, share);
  }
  EXPECT_LE(sum / static_cast<double>(made.size()), kMeanTolerance);
  EXPECT_LE(worst, kWorstTolerance);
}

class LogSumExpsTest : public ::testing::TestWithParam<std::string> {};

TEST_P(LogSumExpsTest, AreTheHostsOfChunksAndOfDecodedTokens) {
  Side host(GetParam(), Backend::kCpu), device(GetParam(), Backend::kCuda);
  TokenIds chunk(200);
  std::iota(chunk.begin(), chunk.end(), 7);
  for (int step = 0; step < 5; ++step) {
    for (Side* side : {&host, &device}) side->Step(chunk, {step + 300});
    const auto &made = device.shard.log_sum_exps, &expected = host.shard.log_sum_exps;
    ASSERT_EQ(made.size(), expected.size());
    for (std::size_t layer = 0; layer < made.size(); ++layer) {
      SCOPED_TRACE("call " + std::to_string(layer) + " until step " + std::to_string(step));
      ExpectNear(made[layer], expected[layer]);
    }
    chunk = {step + 500};
  }
}

INSTANTIATE_TEST_SUITE_P(Models, LogSumExpsTest, ::testing::Values("llama", "deepseek"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pinboard::engine
