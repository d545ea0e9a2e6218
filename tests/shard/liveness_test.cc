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

TEST(Liveness, APlantedMismatchIsSeenAndEveryRankKeepsEverything) {
  bool plant = true;
  const Decorate decorate = [&](int rank, std::unique_ptr<transport::Communicator> inner) {
    return std::make_unique<TroubledCommunicator>(
        std::move(inner), nullptr, [&plant, rank](int, absl::Span<std::int32_t> sum) {
          if (rank == 1 && plant && sum.size() > 40) sum[40] ^= 1 << 29;  // the merge, not the vote
        });
  };
  ToyGroup group({}, 4, ToyOptions(), true, decorate);
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_FALSE(outcomes.value()[0].applied);
    EXPECT_EQ(outcomes.value()[0].kept_all_because, "the ranks' plans differ");
    EXPECT_EQ(rank.shard().Rows(kSequence, 0), 300);
    EXPECT_EQ(rank.shard().stats().keepset_mismatches, 1U);
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
  plant = false;
  group.OnEach([&](ToyRank& rank, int) {
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok());
    EXPECT_TRUE(outcomes.value()[0].applied)
        << "the group goes on: " << outcomes.value()[0].kept_all_because;
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

TEST(Liveness, ALateRankMakesEveryRankKeepEverythingAndGoOn) {
  ShardOptions options = ToyOptions();
  options.round_deadline_ms = 200;
  const Decorate decorate = [](int rank, std::unique_ptr<transport::Communicator> inner) {
    return std::make_unique<TroubledCommunicator>(
        std::move(inner),
        [rank, stalled = false](int, Collective kind) mutable {
          if (rank == 2 && kind == Collective::kSumInt32 && !std::exchange(stalled, true)) {
            absl::SleepFor(absl::Milliseconds(600));
          }
          return absl::OkStatus();
        },
        nullptr);
  };
  ToyGroup group({}, 4, options, true, decorate);
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    auto late = rank.Compress({kSequence});
    ASSERT_TRUE(late.ok()) << late.status().message();
    EXPECT_FALSE(late.value()[0].applied);
    EXPECT_EQ(rank.shard().Rows(kSequence, 0), 300);
    ASSERT_PB_OK(rank.Step({kSequence}, 1));
    auto next = rank.Compress({kSequence});
    ASSERT_TRUE(next.ok()) << next.status().message();
    EXPECT_TRUE(next.value()[0].applied) << next.value()[0].kept_all_because;
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    EXPECT_EQ(rank.shard().stats().rounds_kept_all, 1U);
  });
}

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

TEST(Liveness, EveryRankIssuesTheSameCollectivesInTheSameOrder) {
  std::vector<TroubledCommunicator*> recorded;
  ToyGroup group({}, 4, ToyOptions(), true, Record(&recorded));
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
