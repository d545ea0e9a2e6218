// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Groups whose ranks are real processes.
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cache_service/child_process.h"
#include "tests/transport/start_ranks.h"

namespace pinboard::transport {
namespace {

constexpr char kRank[] = "tests/transport/transport_test_rank";

TEST(GroupProcesses, SumTheSameOnEveryRank) {
  for (const int size : {2, 4}) {
    auto ranks = StartRanks(kRank, "sum", size);
    for (auto& rank : ranks) {
      EXPECT_EQ(rank->ReadLine(), "done");
      EXPECT_EQ(rank->Wait(), 0);
    }
  }
}

void ExpectSurvivorsNameTheKilled(const std::string& mode) {
  auto ranks = StartRanks(kRank, mode, 3);
  for (auto& rank : ranks) ASSERT_EQ(rank->ReadLine(), "running");
  ranks[1]->Signal(SIGKILL);
  for (const int survivor : {0, 2}) {
    EXPECT_THAT(ranks[survivor]->ReadLine(), ::testing::StartsWith("UNAVAILABLE: rank 1 is lost"));
  }
  for (const int survivor : {0, 2}) {
    ranks[survivor]->WaitUntilStopped();
    ranks[survivor]->Signal(SIGCONT);
    EXPECT_EQ(ranks[survivor]->ReadLine(), "done");
    EXPECT_EQ(ranks[survivor]->Wait(), 0);
  }
}

TEST(GroupProcesses, AKilledRankIsNamedByEverySurvivor) {
  ExpectSurvivorsNameTheKilled("small-until-lost");
}

TEST(GroupProcesses, ARankKilledAmongLargeTransfersIsNamedByEverySurvivor) {
  ExpectSurvivorsNameTheKilled("large-until-lost");
}

TEST(GroupProcesses, AStoppedRankIsLateAndUsableAgainOnceContinued) {
  auto ranks = StartRanks(kRank, "stop", 3);
  for (const int punctual : {0, 2}) {
    EXPECT_THAT(ranks[punctual]->ReadLine(),
                ::testing::StartsWith("DEADLINE_EXCEEDED: rank 1 has not joined collective 5"));
  }
  ranks[1]->Signal(SIGCONT);
  for (auto& rank : ranks) {
    EXPECT_EQ(rank->ReadLine(), "done");
    EXPECT_EQ(rank->Wait(), 0);
  }
}

}  // namespace
}  // namespace pinboard::transport
