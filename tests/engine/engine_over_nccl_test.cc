// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// usage: engine_over_nccl_test [RANKS]: the engine's ranks as RANKS processes, 2 by default, whose
// sums are launches of NCCL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "absl/time/clock.h"
#include "engine/engine.h"
#include "shard/shard_factory.h"
#include "tests/conformance/rank_processes.h"
#include "tests/support/free_port.h"
#include "tests/transport/nccl_group.cuh"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::engine {
namespace {

using transport::NcclCommunicator;
using transport::RankProcesses;

constexpr absl::Duration kPatience = absl::Seconds(60);
/// As between backends of one rank (backends_cuda_test.cc).
constexpr double kTolerance = 3e-2;

int g_ranks = 2;

EngineOptions Options(Backend backend, const std::string& model, absl::Duration deadline) {
  const char* root = std::getenv("PINBOARD_SOURCE_DIR");
  return {.backend = backend,
          .model_dir = std::string(root == nullptr ? "." : root) + "/models/tiny-" + model,
          .cache_blocks = 16,
          .collective_deadline = deadline};
}

struct Rank {
  NcclCommunicator& communicator;
  Engine& engine;
};

/// Ranks with a sequence 1 each, which leave together.
void RunRanks(const std::string& model, absl::Duration deadline,
              const std::function<void(const Rank&)>& body) {
  RankProcesses::Run(g_ranks, [&](int rank) {
    const std::string rendezvous =
        RankProcesses::Tell(rank == 0 ? FreeLoopbackAddress() : "", g_ranks);
    auto communicator =
        transport::MakeNcclGroup(rank, g_ranks, rendezvous, absl::Now() + kPatience);
    ASSERT_TRUE(communicator.ok()) << communicator.status();
    auto engine = Engine::Load(Options(Backend::kCuda, model, deadline), communicator->get());
    ASSERT_TRUE(engine.ok()) << engine.status();
    ASSERT_TRUE((*engine)->AddSequence(1, {}).ok());
    body({**communicator, **engine});
    RankProcesses::Meet(g_ranks);
  });
}

absl::StatusOr<StepOutput> Step(Engine& engine, const std::vector<std::int32_t>& tokens) {
  auto outputs = engine.Step({{.sequence = 1, .tokens = tokens, .logits = LogitsWanted::kLast}});
  if (!outputs.ok()) return outputs.status();
  return outputs->front();
}

/// |own - whole's columns| / |whole|
double Distance(const std::vector<float>& own, int first_column, const std::vector<float>& whole) {
  double gap = 0, norm = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    const double difference = own[i] - whole[first_column + i];
    gap += difference * difference;
  }
  for (const float logit : whole) norm += static_cast<double>(logit) * logit;
  return std::sqrt(gap / norm);
}

class EngineOverNccl : public ::testing::TestWithParam<std::string> {};

TEST_P(EngineOverNccl, ComputesTheLogitsOfOneRankOnTheHostByLaunchesThatAreReplayed) {
  RunRanks(GetParam(), kPatience, [](const Rank& rank) {
    auto whole = Engine::Load(Options(Backend::kCpu, GetParam(), kPatience), nullptr);
    ASSERT_TRUE(whole.ok() && (*whole)->AddSequence(1, {}).ok());
    std::vector<std::int32_t> tokens(50);
    for (int i = 0; i < 50; ++i) tokens[i] = (i * 37 + 11) % 2000;
    const auto sums = static_cast<std::uint64_t>(2 * rank.engine.config().layers + 1);
    std::uint64_t launched = 0;
    for (std::uint64_t step = 1; step <= 9; ++step) {
      const auto own = Step(rank.engine, tokens);
      ASSERT_TRUE(own.ok()) << own.status();
      EXPECT_LT(Distance(own->logits, rank.engine.vocab_begin(), Step(**whole, tokens)->logits),
                kTolerance);
      EXPECT_EQ(rank.communicator.issued(), step);
      if (step <= 2) {
        EXPECT_EQ(rank.communicator.launched(), step * sums);
      }
      if (step <= 5) launched = rank.communicator.launched();
      EXPECT_EQ(rank.communicator.launched(), launched);
      tokens = {own->candidates[0].id};
    }
  });
}

TEST_P(EngineOverNccl, ReplaysTheBitsOfLaunches) {
  RunRanks(GetParam(), kPatience, [](const Rank& rank) {
    EngineOptions options = Options(Backend::kCuda, GetParam(), kPatience);
    options.step_graphs = false;
    auto launching = Engine::Load(options, &rank.communicator);
    ASSERT_TRUE(launching.ok() && (*launching)->AddSequence(1, {}).ok());
    std::vector<std::int32_t> tokens(50);
    for (int i = 0; i < 50; ++i) tokens[i] = (i * 37 + 11) % 2000;
    for (int step = 0; step < 40; ++step) {
      const auto replayed = Step(rank.engine, tokens), launched = Step(**launching, tokens);
      ASSERT_TRUE(replayed.ok() && launched.ok()) << replayed.status() << launched.status();
      ASSERT_EQ(replayed->logits, launched->logits) << "step " << step;
      tokens = {replayed->candidates[0].id};
    }
    EXPECT_GT(rank.engine.stats().graphs_launched, 0);
    EXPECT_EQ((*launching)->stats().graphs_launched, 0);
  });
}

std::unique_ptr<Shard> AttachShard(Engine& engine, Backend backend,
                                   transport::Communicator* communicator) {
  ShardOptions options;
  options.model = engine.MakeShardModel();
  options.backend = backend;
  options.stream = engine.stream();
  auto shard = CreateShard(options, communicator, nullptr);
  EXPECT_TRUE(shard.ok()) << shard.status();
  EXPECT_TRUE(engine.Remove(1).ok() && engine.Attach(shard->get()).ok());
  EXPECT_TRUE(engine.AddSequence(1, {}).ok());
  return *std::move(shard);
}

TEST_P(EngineOverNccl, MergesTheCandidatesOfAShardOnTheDevices) {
  RunRanks(GetParam(), kPatience, [](const Rank& rank) {
    const auto alone = transport::MakeSoloCommunicator();
    auto whole = Engine::Load(Options(Backend::kCpu, GetParam(), kPatience), nullptr);
    ASSERT_TRUE(whole.ok() && (*whole)->AddSequence(1, {}).ok());
    const auto shard = AttachShard(rank.engine, Backend::kCuda, &rank.communicator);
    const auto of_whole = AttachShard(**whole, Backend::kCpu, alone.get());
    std::vector<std::int32_t> tokens(50);
    for (int i = 0; i < 50; ++i) tokens[i] = (i * 37 + 11) % 2000;
    for (int step = 0; step < 4; ++step) {
      const auto own = Step(rank.engine, tokens);
      ASSERT_TRUE(own.ok()) << own.status();
      const auto expected = Step(**whole, tokens);
      EXPECT_NEAR(own->next_entropy, expected->next_entropy, 0.1);
      ASSERT_EQ(own->candidates.size(), expected->candidates.size());
      EXPECT_NEAR(own->candidates[0].logit, expected->candidates[0].logit, 0.3);
      tokens = {expected->candidates[0].id};
    }
    rank.engine.Remove(1).IgnoreError();
    EXPECT_TRUE(rank.engine.Attach(nullptr).ok());
  });
}

INSTANTIATE_TEST_SUITE_P(Models, EngineOverNccl, ::testing::Values("llama", "deepseek"),
                         [](const auto& info) { return info.param; });

TEST(LateRankOverNccl, IsNamedByTheStepOfEveryOther) {
  RunRanks("llama", absl::Seconds(8), [](const Rank& rank) {
    for (int step = 0; step < 5; ++step) ASSERT_TRUE(Step(rank.engine, {1}).ok());
    if (rank.communicator.rank() == 1) return;
    const absl::Status status = Step(rank.engine, {2}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::StartsWith("rank 1 has not joined"));
  });
}

}  // namespace
}  // namespace pinboard::engine

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  using namespace pinboard;  // NOLINT(google-build-using-namespace)
  if (argc > 1) engine::g_ranks = std::atoi(argv[1]);
  if (engine::g_ranks < 2)
    return std::fprintf(stderr, "usage: %s [RANKS]: at least 2\n", argv[0]), 2;
  return transport::RankProcesses::RunAllTests(engine::g_ranks, transport::ChooseHost);
}
