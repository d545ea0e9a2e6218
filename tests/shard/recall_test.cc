// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Recall: what a query looks for comes back, on every rank at the same step, or on none.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "tests/shard/device_group.h"
#include "tests/shard/recall_probe.h"

namespace pinboard::testing {
namespace {

class RecallOverGroups : public ::testing::TestWithParam<std::tuple<bool, int>> {
 protected:
  ToyModel model() const {
    ToyModel model;
    model.mla = std::get<0>(GetParam());
    return model;
  }
};

TEST_P(RecallOverGroups, BringsBackTheRowAQueryLooksForOneStepLater) {
  const int wanted = FindRecallable(model())[0];
  ToyGroup group(model(), std::get<1>(GetParam()), ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank);
    ASSERT_FALSE(Attends(rank, kSequence, 0, wanted));
    const int rows = rank.shard().Rows(kSequence, 0);
    ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_FALSE(Attends(rank, kSequence, 0, wanted)) << "one step behind";
    ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_TRUE(Attends(rank, kSequence, 0, wanted));
    EXPECT_EQ(rank.shard().Rows(kSequence, 0), rows + 2) << "lengths never change by recall";
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    const ShardStats stats = rank.shard().stats();
    EXPECT_GT(stats.pages_recalled, 0U);
    EXPECT_EQ(stats.recall_lag_steps, stats.pages_recalled) << "lag 1";
    EXPECT_EQ(stats.misses, 0U);
  });
}

TEST_P(RecallOverGroups, NeverWaitsUnlessAskedTo) {
  const int wanted = FindRecallable(model())[0];
  ShardOptions options = ToyOptions();
  options.wait_for_pages = false;
  ToyGroup group(model(), std::get<1>(GetParam()), options);
  group.OnEach([&](ToyRank& rank, int) { Prefill(rank); });
  group.pages().HoldResults(true);
  group.OnEach([&](ToyRank& rank, int) {
    for (int step = 0; step < 4; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_FALSE(Attends(rank, kSequence, 0, wanted)) << "late";
  });
  group.pages().HoldResults(false);
  group.OnEach([&](ToyRank& rank, int) {
    for (int step = 0; step < 3; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_TRUE(Attends(rank, kSequence, 0, wanted)) << "a late page joins later";
    EXPECT_EQ(rank.shard().stats().waits, 0U);
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

/// The rows of all layers after some steps whose queries look for nothing in particular.
std::vector<std::vector<std::int32_t>> RowsAfterSteps(const Decorate& decorate) {
  ShardOptions options = ToyOptions();
  options.wait_for_pages = false;
  ToyGroup group({}, 2, options, true, decorate);
  std::vector<std::vector<std::int32_t>> rows[2];
  group.OnEach([&](ToyRank& rank, int index) {
    Prefill(rank);
    for (int step = 0; step < 12; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1));
    for (int layer = 0; layer < 3; ++layer) {
      rows[index].push_back(rank.shard().RowPositions(kSequence, layer));
    }
    EXPECT_GT(rank.shard().stats().pages_recalled, 0U);
  });
  EXPECT_EQ(rows[0], rows[1]);
  return rows[0];
}

TEST(Recall, ByScoresThatAreSummedWhereTheyLieIsByTheSameScores) {
  const Decorate on_device = [](int, std::unique_ptr<transport::Communicator> inner) {
    return std::make_unique<DeviceGroup>(std::move(inner), [] { return absl::OkStatus(); });
  };
  EXPECT_EQ(RowsAfterSteps(on_device), RowsAfterSteps(nullptr));
}

// Scores of a sum that never ended are none.
TEST(Recall, ThatDecidesAtOnceAsksForNoPageBeforeTheSumIsKnownToHaveEnded) {
  const int wanted = FindRecallable({})[0];
  std::atomic<bool> lacking = false;
  const Decorate decorate = [&](int, std::unique_ptr<transport::Communicator> inner) {
    return std::make_unique<DeviceGroup>(std::move(inner), [&] {
      return lacking ? absl::DeadlineExceededError("rank 1 has not joined") : absl::OkStatus();
    });
  };
  ShardOptions options = ToyOptions();
  options.fetch_deadline_ms = 20;
  ToyGroup group({}, 2, options, true, decorate);
  group.OnEach([&](ToyRank& rank, int) { Prefill(rank); });
  group.pages().HoldResults(true);
  lacking = true;
  group.OnEach([&](ToyRank& rank, int) {
    const Status status = rank.Step({kSequence}, 1, wanted);
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_EQ(rank.shard().stats().waits, 0U) << "for a page";
  });
}

INSTANTIATE_TEST_SUITE_P(All, RecallOverGroups,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(1, 2, 4)));

TEST(Recall, OfAPageThatOneRankMissesIsMissedByAll) { ExpectMissedByAll(ToyPolicy(), /*steps=*/3); }

// A page that comes back was in no denominator so far: by those its rows would get any share.
TEST(Recall, EndsTheLogSumExpsThatTheEngineHasShown) {
  const int wanted = FindRecallable({})[0];
  ToyGroup group({}, 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank);
    rank.log_sum_exp = -1e30F;  // which a round would refuse
    for (int step = 0; step < ToyPolicy().window; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1));
    for (int step = 0; step < 2; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    ASSERT_TRUE(Attends(rank, kSequence, 0, wanted));
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
  });
}

TEST(Recall, OfALongStepIsByItsLastQueries) {
  const int wanted = FindRecallable({})[0];
  ToyGroup group({}, 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank);
    const int window = ToyPolicy().window;
    ASSERT_PB_OK(rank.Step({kSequence}, window + 8, wanted, /*looking=*/8));
    ASSERT_PB_OK(rank.Step({kSequence}, 1));
    EXPECT_FALSE(Attends(rank, kSequence, 0, wanted)) << "of before its window";
    ASSERT_PB_OK(rank.Step({kSequence}, window + 8, wanted));
    ASSERT_PB_OK(rank.Step({kSequence}, 1));
    EXPECT_TRUE(Attends(rank, kSequence, 0, wanted));
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

TEST(Recall, AfterTheServiceIsGoneMissesAndGoesOn) {
  ToyGroup group({}, 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) { Prefill(rank); });
  group.pages().SetGone(true);
  group.OnEach([&](ToyRank& rank, int) {
    for (int step = 0; step < 40; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, 100 + step));
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
    for (int step = 0; step < 5; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, 100));
    EXPECT_GT(rank.shard().stats().misses, 0U);
    EXPECT_GT(rank.shard().stats().fetches_unavailable, 0U);
    EXPECT_EQ(rank.shard().stats().fetches_absent, 0U);
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

TEST(Recall, OfAPageThatIsNotWhatWasPublishedIsAMissAndCountedAsSuch) {
  const int wanted = FindRecallable({})[0];
  ToyGroup group({}, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  Prefill(rank);
  for (std::uint32_t page = 0; page < 16; ++page) {
    for (std::uint16_t layer = 0; layer < 3; ++layer)
      group.pages().Corrupt({kSequence, page, layer});
  }
  for (int step = 0; step < 3; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
  const ShardStats stats = rank.shard().stats();
  EXPECT_GT(stats.fetches_corrupt, 0U);
  EXPECT_EQ(stats.fetches_corrupt, stats.misses);
  EXPECT_EQ(stats.fetches_absent + stats.fetches_unavailable + stats.fetches_late, 0U);
  EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
}

TEST(Recall, OfAPageThatDoesNotComeInTimeIsCountedAsLate) {
  const int wanted = FindRecallable({})[0];
  ShardOptions options = ToyOptions();
  options.fetch_deadline_ms = 1;
  ToyGroup group({}, 1, options);
  ToyRank& rank = group.rank(0);
  Prefill(rank);
  group.pages().HoldResults(true);
  for (int step = 0; step < 3; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
  const ShardStats stats = rank.shard().stats();
  EXPECT_GT(stats.fetches_late, 0U);
  EXPECT_EQ(stats.fetches_absent + stats.fetches_unavailable + stats.fetches_corrupt, 0U);
}

/// A band that holds whatever is evicted.
SequenceOptions RoomyPolicy(const std::string& policy = "pinboard") {
  SequenceOptions options = ToyPolicy(policy);
  options.band = 0.85;
  return options;
}

bool InRing(ToyRank& rank, std::uint64_t sequence, int layer, int position) {
  const auto rows = rank.shard().RowPositions(sequence, layer);
  const auto ring_end = rows.begin() + 64;
  return std::find(rows.begin(), ring_end, position) != ring_end;
}

/// Positions of the page that holds `position` in the ring of layer 0.
std::vector<int> PageInRing(ToyRank& rank, std::uint64_t sequence, int position) {
  const auto rows = rank.shard().RowPositions(sequence, 0);
  const auto slot = (std::find(rows.begin(), rows.end(), position) - rows.begin()) / 16;
  return {rows.begin() + slot * 16, rows.begin() + (slot + 1) * 16};
}

TEST_P(RecallOverGroups, ARowThatMattersLeavesItsPageAndIsKept) {
  const int wanted = FindRecallable(model(), RoomyPolicy("snapkv"))[0];
  ToyGroup group(model(), std::get<1>(GetParam()), ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank, RoomyPolicy("snapkv"));
    for (int step = 0; step < 40; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    ASSERT_TRUE(InRing(rank, kSequence, 0, wanted));
    const std::vector<int> page = PageInRing(rank, kSequence, wanted);
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    ASSERT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
    EXPECT_TRUE(Attends(rank, kSequence, 0, wanted));
    EXPECT_FALSE(InRing(rank, kSequence, 0, wanted)) << "kept, not recalled";
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    int in_ring = 0;
    for (const int position : page) in_ring += InRing(rank, kSequence, 0, position) ? 1 : 0;
    EXPECT_LT(in_ring, 16) << "the page of before left its slot";
    // The rows it had besides come back, from pages of other rows, but for those that fill no page.
    EXPECT_LT(outcomes.value()[0].dropped, 3 * 16);
    int gone = 0;
    for (const int position : page) {
      if (Attends(rank, kSequence, 0, position)) continue;
      for (int step = 0; step < 3; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, position));
      gone += InRing(rank, kSequence, 0, position) ? 0 : 1;
    }
    EXPECT_LE(gone, outcomes.value()[0].dropped);
    EXPECT_LT(gone, 15);
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    EXPECT_EQ(rank.shard().stats().misses, 0U);
  });
}

TEST_P(RecallOverGroups, TheRingStandsStillWhileARoundIsUnderWay) {
  const int wanted = FindRecallable(model(), RoomyPolicy(), 30)[0];
  ToyGroup group(model(), std::get<1>(GetParam()), ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank, RoomyPolicy());
    for (int step = 0; step < 30; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1));
    ASSERT_PB_OK(rank.Begin({kSequence}));
    std::vector<std::int32_t> ring = rank.shard().RowPositions(kSequence, 0);
    ring.resize(64);
    for (int step = 0; step < 4; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    std::vector<std::int32_t> later = rank.shard().RowPositions(kSequence, 0);
    later.resize(64);
    EXPECT_EQ(later, ring);
    auto outcomes = rank.Commit({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    ASSERT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
    for (int step = 0; step < 2; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_TRUE(InRing(rank, kSequence, 0, wanted)) << "the fetch of before is not lost";
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

TEST_P(RecallOverGroups, AForkInTheMidstOfARecallGoesOnWithIt) {
  const int wanted = FindRecallable(model())[0];
  ToyGroup group(model(), std::get<1>(GetParam()), ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank);
    ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));  // agreed, not yet visible
    ASSERT_PB_OK(rank.Fork(kSequence, 8, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({8}, 1, wanted));
    EXPECT_TRUE(Attends(rank, 8, 0, wanted));
    EXPECT_EQ(rank.FirstWrongRow(8), "");
    EXPECT_FALSE(Attends(rank, kSequence, 0, wanted));
    ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_TRUE(Attends(rank, kSequence, 0, wanted));
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    EXPECT_EQ(rank.shard().stats().misses, 0U);
  });
}

TEST(Recall, AForkFetchesWhatIsUnderWay) {
  const int wanted = FindRecallable({})[0];
  ShardOptions options = ToyOptions();
  options.wait_for_pages = false;
  ToyGroup group({}, 2, options);
  group.OnEach([&](ToyRank& rank, int) { Prefill(rank); });
  group.pages().HoldResults(true);
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    ASSERT_PB_OK(rank.Fork(kSequence, 8, ToyPolicy()));
  });
  group.pages().HoldResults(false);
  group.OnEach([&](ToyRank& rank, int) {
    for (int step = 0; step < 3; ++step) ASSERT_PB_OK(rank.Step({8}, 1, wanted));
    EXPECT_TRUE(Attends(rank, 8, 0, wanted));
    EXPECT_EQ(rank.FirstWrongRow(8), "");
    EXPECT_EQ(rank.shard().stats().misses, 0U);
  });
}

TEST(Recall, OfForksSharesThePagesOfTheirOrigin) {
  const int wanted = FindRecallable({})[0];
  ToyGroup group({}, 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank);
    const auto origin = rank.shard().RowPositions(kSequence, 0);
    ASSERT_PB_OK(rank.Fork(kSequence, 8, ToyPolicy()));
    ASSERT_PB_OK(rank.Fork(kSequence, 9, ToyPolicy()));
    for (int step = 0; step < 3; ++step) ASSERT_PB_OK(rank.Step({8, 9}, 1, wanted));
    for (const std::uint64_t fork : {8, 9}) {
      EXPECT_TRUE(Attends(rank, fork, 0, wanted));
      EXPECT_EQ(rank.FirstWrongRow(fork), "");
      ASSERT_PB_OK(rank.Remove(fork));
    }
    EXPECT_EQ(rank.shard().RowPositions(kSequence, 0), origin) << "a fork leaves its origin alone";
    for (int step = 0; step < 2; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_TRUE(Attends(rank, kSequence, 0, wanted))
        << "ended forks leave the pages in the service";
  });
}

TEST(Step, GivesTheSameCandidatesAndEntropyForEveryGroupSize) {
  std::vector<StepEntryResult> results;
  for (const int tp : {1, 2, 4}) {
    ToyGroup group({}, tp, ToyOptions());
    group.OnEach([&](ToyRank& rank, int) {
      ASSERT_PB_OK(rank.Add(1, ToyPolicy()));
      ASSERT_PB_OK(rank.Add(2, ToyPolicy()));
      ASSERT_PB_OK(rank.Step({1, 2}, 5));
    });
    const auto& now = group.rank(tp - 1).results();
    ASSERT_EQ(now.size(), 2U);
    if (results.empty()) results = now;
    for (int s = 0; s < 2; ++s) {
      ASSERT_EQ(now[s].candidates.size(), 16U);
      EXPECT_EQ(now[s].candidates[0].id, results[s].candidates[0].id);
      EXPECT_EQ(now[s].candidates[15].logit, results[s].candidates[15].logit);
      EXPECT_EQ(now[s].next_entropy, results[s].next_entropy);
    }
  }
}

}  // namespace
}  // namespace pinboard::testing
