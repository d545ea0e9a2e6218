// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a group does when a rank decides otherwise, is late, or is gone.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/shard/toy_group.h"
#include "tests/shard/troubled_communicator.h"

namespace pinboard::testing {
namespace {

constexpr std::uint64_t kSequence = 7;

TEST(Liveness, ALostRankGivesEverySurvivorUnavailableNamingItWithEverythingKept) {
  ShardOptions options = ToyOptions();
  options.round_deadline_ms = 100;
  options.rank_deadline_ms = 300;
  ToyGroup group({}, 4, options);
  group.OnEach([&](ToyRank& rank, int index) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    if (index == 3) return;
    auto outcomes = rank.Compress({kSequence});
    ASSERT_FALSE(outcomes.ok());
    EXPECT_EQ(outcomes.status().code(), StatusCode::kUnavailable);
    EXPECT_NE(outcomes.status().message().find("rank 3"), std::string::npos)
        << outcomes.status().message();
    EXPECT_EQ(rank.shard().Rows(kSequence, 0), 300);
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

/// Lets every collective pass, and keeps what each rank issued.
Decorate Record(std::vector<TroubledCommunicator*>* ranks) {
  return [ranks](int, std::unique_ptr<transport::Communicator> inner) {
    auto recorded = std::make_unique<TroubledCommunicator>(std::move(inner), nullptr, nullptr);
    ranks->push_back(recorded.get());
    return recorded;
  };
}

/// A group that has read 300 tokens, of which rank `troubled` fails in a round; then one that does
/// not fail.
void RunFailingRound(int tp, int troubled,
                     const std::function<Result<std::vector<RoundOutcome>>(ToyRank&)>& fail,
                     const std::string& because) {
  SCOPED_TRACE(::testing::Message() << "tp " << tp);
  std::vector<TroubledCommunicator*> recorded;
  ToyGroup group({}, tp, ToyOptions(), true, Record(&recorded));
  group.OnEach([&](ToyRank& rank, int index) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    auto outcomes = index == troubled ? fail(rank) : rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_FALSE(outcomes.value()[0].applied);
    EXPECT_NE(outcomes.value()[0].kept_all_because.find(
                  index == troubled ? because : "another rank was not ready"),
              std::string::npos)
        << outcomes.value()[0].kept_all_because;
    EXPECT_EQ(rank.shard().Rows(kSequence, 0), 300);
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    const ShardStats stats = rank.shard().stats();
    EXPECT_EQ(stats.rounds_kept_all, 1U);
    EXPECT_EQ(stats.keepset_mismatches, 0U);
    EXPECT_EQ(stats.pages_offloaded, 0U);
    EXPECT_EQ(stats.digest_bytes, 0U);
  });
  EXPECT_EQ(group.pages().pages(), 0U);
  group.OnEach([&](ToyRank& rank, int) {
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    ASSERT_PB_OK(rank.Step({kSequence}, 1, 100));
  });
  for (const TroubledCommunicator* rank : recorded) {
    EXPECT_EQ(rank->kinds(), recorded[0]->kinds());
    EXPECT_EQ(rank->kinds().empty(), tp == 1);
  }
}

TEST(Liveness, ARankThatCannotScoreTakesPartInTheSumAndEveryRankKeepsEverything) {
  const auto fail = [](ToyRank& rank) -> Result<std::vector<RoundOutcome>> {
    std::vector<std::int32_t> table = rank.table(kSequence);
    table.pop_back();
    const Shard::RoundEntry entry{kSequence, {table}};
    const Status begun = rank.shard().BeginRound({&entry, 1});
    if (!begun.ok()) return begun;
    return rank.Commit({kSequence});
  };
  for (const int tp : {1, 2, 4}) RunFailingRound(tp, tp - 1, fail, "AttentionScore: ");
}

TEST(Liveness, ARankThatFailsHalfwayThroughItsLayersMakesEveryRankKeepEverything) {
  const auto fail = [](ToyRank& rank) -> Result<std::vector<RoundOutcome>> {
    if (const Status begun = rank.Begin({kSequence}); !begun.ok()) return begun;
    rank.SpoilKeys(kSequence, 1);
    auto outcomes = rank.Commit({kSequence});
    rank.RestoreKeys(kSequence, 1);
    return outcomes;
  };
  for (const int tp : {1, 2, 4}) RunFailingRound(tp, 0, fail, "not finite");
}

TEST(Liveness, ABlockTableTooShortForWhatStaysIsSeenBeforeAnythingMoves) {
  const auto fail = [](ToyRank& rank) -> Result<std::vector<RoundOutcome>> {
    if (const Status begun = rank.Begin({kSequence}); !begun.ok()) return begun;
    std::vector<std::int32_t> table = rank.table(kSequence);
    table.pop_back();
    const Shard::RoundEntry entry{kSequence, {table}};
    return rank.shard().CommitRound({&entry, 1});
  };
  for (const int tp : {1, 2}) RunFailingRound(tp, 0, fail, "Compact: ");
}

TEST(Liveness, AGroupOfOneExchangesNothing) {
  TroubledCommunicator* recorded = nullptr;
  const Decorate decorate = [&](int, std::unique_ptr<transport::Communicator> inner) {
    auto troubled = std::make_unique<TroubledCommunicator>(std::move(inner), nullptr, nullptr);
    recorded = troubled.get();
    return troubled;
  };
  ToyGroup group({}, 1, ToyOptions(), true, decorate);
  ToyRank& rank = group.rank(0);
  ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
  ASSERT_PB_OK(rank.Step({kSequence}, 300));
  ASSERT_TRUE(rank.Compress({kSequence}).ok());
  ASSERT_PB_OK(rank.Step({kSequence}, 1, 100));
  EXPECT_TRUE(recorded->kinds().empty());
}

}  // namespace
}  // namespace pinboard::testing
