// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Unequal collective counts hang all ranks (sglang#30760).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/shard/toy_group.h"
#include "tests/shard/troubled_communicator.h"

namespace pinboard::testing {
namespace {

constexpr std::uint64_t kSequence = 7;

TEST(UnequalCollectiveCounts, EveryRankIssuesTheSameOnesInTheSameOrderWithNothingToDoToo) {
  std::vector<TroubledCommunicator*> recorded(4);
  const Decorate decorate = [&](int rank, std::unique_ptr<transport::Communicator> inner) {
    auto troubled = std::make_unique<TroubledCommunicator>(std::move(inner), nullptr, nullptr);
    recorded[rank] = troubled.get();
    return troubled;
  };
  ToyGroup group({}, 4, ToyOptions(), true, decorate);
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    ASSERT_TRUE(rank.Compress({kSequence}).ok());
    ASSERT_PB_OK(rank.Step({kSequence}, 1));
    ASSERT_TRUE(rank.Compress({kSequence}).ok());
  });
  const std::vector<Collective> expected = {
      Collective::kAllGather,                          // prefill: nothing to recall yet
      Collective::kSumInt32,  Collective::kSumInt32,   // round: merge, vote
      Collective::kSumInt32,  Collective::kAllGather,  // step: page scores, tokens
      Collective::kSumInt32,                           // round with nothing to gain: the vote alone
  };
  for (const TroubledCommunicator* rank : recorded) EXPECT_EQ(rank->kinds(), expected);
}

TEST(UnequalCollectiveCounts, ARankThatIssuesOneFewerIsNamedAndHangsNobody) {
  ShardOptions options = ToyOptions();
  options.rank_deadline_ms = 300;
  ToyGroup group({}, 4, options);
  group.OnEach([&](ToyRank& rank, int index) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    if (index == 1) return;
    const Status step = rank.Step({kSequence}, 1);
    EXPECT_EQ(step.code(), StatusCode::kUnavailable);
    EXPECT_NE(step.message().find("rank 1"), std::string::npos) << step.message();
  });
}

}  // namespace
}  // namespace pinboard::testing
