// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_vote.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "transport/collective/local/local_communicator.h"

namespace pinboard {
namespace {

struct Ballot {
  bool ready = true;
  std::uint64_t plan_hash = 0;
};

/// One verdict per rank.
std::vector<Verdict> Vote(const std::vector<Ballot>& ballots) {
  transport::LocalGroup group(static_cast<int>(ballots.size()));
  std::vector<Verdict> verdicts(ballots.size());
  std::vector<std::thread> ranks;
  for (std::size_t r = 0; r < ballots.size(); ++r) {
    ranks.emplace_back([&, r] {
      const auto communicator = group.Join(static_cast<int>(r));
      ShardContext context;
      context.communicator = communicator.get();
      const auto verdict = VoteOnRound(context, ballots[r].ready, ballots[r].plan_hash);
      ASSERT_TRUE(verdict.ok()) << verdict.status();
      verdicts[r] = *verdict;
    });
  }
  for (std::thread& rank : ranks) rank.join();
  return verdicts;
}

TEST(RoundVote, EqualPlansOfReadyRanksPass) {
  for (const std::uint64_t hash : {0ULL, 1ULL, 0xFFFFFFFFFFFFFFFFULL, 0x9E3779B97F4A7C15ULL}) {
    for (const Verdict& verdict : Vote(std::vector<Ballot>(4, {true, hash}))) {
      EXPECT_TRUE(verdict.all_ready);
      EXPECT_TRUE(verdict.plans_equal);
    }
  }
}

TEST(RoundVote, APlanThatDiffersInAnyBitIsSeenByEveryRank) {
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t hash = 0x9E3779B97F4A7C15ULL;
    for (const Verdict& verdict :
         Vote({{true, hash}, {true, hash ^ (1ULL << bit)}, {true, hash}})) {
      EXPECT_TRUE(verdict.all_ready);
      EXPECT_FALSE(verdict.plans_equal) << "bit " << bit;
    }
  }
}

// A rank that compared the sum with its own hash would see 2 + 1 + 3 as three times its 2.
TEST(RoundVote, PlansWhoseMeanIsOneOfThemAreUnequalForThatRankToo) {
  for (const Verdict& verdict : Vote({{true, 2}, {true, 1}, {true, 3}})) {
    EXPECT_FALSE(verdict.plans_equal);
  }
}

TEST(RoundVote, OneRankThatIsNotReadyHoldsAllBack) {
  for (int unready = 0; unready < 3; ++unready) {
    std::vector<Ballot> ballots(3, {true, 5});
    ballots[unready] = {false, 0};
    for (const Verdict& verdict : Vote(ballots)) EXPECT_FALSE(verdict.all_ready);
  }
  EXPECT_FALSE(Vote({{false, 5}})[0].all_ready) << "a group of one";
}

}  // namespace
}  // namespace pinboard
