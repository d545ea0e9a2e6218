// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Recall within the step: what a query looks for is seen by that very query, on every rank or none.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <tuple>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/shard/device_group.h"
#include "tests/shard/recall_probe.h"
#include "tests/shard/troubled_communicator.h"

namespace pinboard::testing {
namespace {

constexpr int kLayers = 3;

/// MLA or not, one block table or one a layer with unequal counts, ranks, recall_ahead.
class RecallWithinStepOverGroups
    : public ::testing::TestWithParam<std::tuple<bool, bool, int, int>> {
 protected:
  ToyModel model() const {
    ToyModel model;
    model.mla = std::get<0>(GetParam());
    model.layer_tables = std::get<1>(GetParam());
    if (model.layer_tables) model.blocks *= model.layers;
    return model;
  }
  SequenceOptions options(int ahead) const {
    SequenceOptions options = Recalling("step", ahead);
    if (std::get<1>(GetParam())) options.layers = "pyramid";
    return options;
  }
  std::vector<int> recallable() const { return FindRecallable(model(), options(-1)); }
  int tp() const { return std::get<2>(GetParam()); }
  int ahead() const { return std::get<3>(GetParam()); }
};

TEST_P(RecallWithinStepOverGroups, ShowsTheRowAQueryLooksForAtThisVeryStep) {
  const std::vector<int> wanted = recallable();
  for (int layer = 0; layer < kLayers; ++layer) {
    ToyGroup group(model(), tp(), ToyOptions());
    group.OnEach([&](ToyRank& rank, int) {
      Prefill(rank, options(ahead()));
      ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted[layer]));
      EXPECT_EQ(Attends(rank, kSequence, layer, wanted[layer]), layer >= ahead())
          << "layer " << layer;
      EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
      const ShardStats stats = rank.shard().stats();
      EXPECT_GT(stats.pages_recalled, 0U);
      EXPECT_EQ(stats.recall_lag_steps, 0U);
      ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted[layer]));
      EXPECT_TRUE(Attends(rank, kSequence, layer, wanted[layer])) << "one step behind";
      EXPECT_EQ(rank.shard().stats().misses, 0U);
    });
  }
}

TEST_P(RecallWithinStepOverGroups, LeavesTheRingAsItIsWhileARoundIsUnderWay) {
  const int wanted = recallable()[kLayers - 1];
  ToyGroup group(model(), tp(), ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank, options(ahead()));
    ASSERT_PB_OK(rank.Step({kSequence}, 60));
    const auto before = rank.shard().RowPositions(kSequence, kLayers - 1);
    ASSERT_PB_OK(rank.Begin({kSequence}));
    ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    auto during = rank.shard().RowPositions(kSequence, kLayers - 1);
    during.resize(before.size());
    EXPECT_EQ(during, before);
    ASSERT_TRUE(rank.Commit({kSequence}).ok());
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

INSTANTIATE_TEST_SUITE_P(All, RecallWithinStepOverGroups,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool(),
                                            ::testing::Values(1, 2, 4),
                                            ::testing::Values(0, 1, 2)));

TEST(RecallWithinStep, APageThatIsLateJoinsAtALaterStepWithoutAnyoneWaiting) {
  const int wanted = FindRecallable({})[kLayers - 1];
  ShardOptions options = ToyOptions();
  options.wait_for_pages = false;
  ToyGroup group({}, 2, options);
  group.OnEach([&](ToyRank& rank, int) { Prefill(rank, Recalling("step", 1)); });
  group.pages().HoldResults(true);
  group.OnEach([&](ToyRank& rank, int) {
    for (int step = 0; step < 3; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_FALSE(Attends(rank, kSequence, kLayers - 1, wanted)) << "late";
  });
  group.pages().HoldResults(false);
  group.OnEach([&](ToyRank& rank, int) {
    for (int step = 0; step < 3; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_TRUE(Attends(rank, kSequence, kLayers - 1, wanted));
    EXPECT_EQ(rank.shard().stats().waits, 0U);
  });
}

// Rank 0 asks for the page only when rank 1 has looked and not found it: one holds it, one does
// not.
TEST(RecallWithinStep, APageThatOneRankDoesNotHoldYetIsShownByNone) {
  const int wanted = FindRecallable({})[1];
  ShardOptions options = ToyOptions();
  options.wait_for_pages = false;
  constexpr int kFirstOfStep = 3;  // after prefill's gather and the round's sum and gather
  absl::Notification looked;
  cache_service::MemoryPages* pages = nullptr;
  const Decorate decorate = [&](int rank, std::unique_ptr<transport::Communicator> inner) {
    const auto before = [&, rank](int number, Collective) {
      if (rank == 1 && number == kFirstOfStep + 1) {
        pages->HoldResults(false);
        looked.Notify();
      }
      return absl::OkStatus();
    };
    const auto after_sum = [&, rank](int number, absl::Span<std::int32_t>) {
      if (rank == 0 && number == kFirstOfStep) looked.WaitForNotification();
    };
    return std::make_unique<TroubledCommunicator>(std::move(inner), before, after_sum);
  };
  ToyGroup group({}, 2, options, true, decorate);
  pages = &group.pages();
  group.OnEach([&](ToyRank& rank, int) { Prefill(rank, Recalling("step", 1)); });
  group.pages().HoldResults(true);
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_FALSE(Attends(rank, kSequence, 1, wanted));
    ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_TRUE(Attends(rank, kSequence, 1, wanted));
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

// What the engine has launched over the ranks may never end: a wait for scores behind it neither.
TEST(RecallWithinStep, NamesTheRankThatTheDeviceLacksInsteadOfWaitingForScores) {
  std::atomic<bool> lacking = false;
  const Decorate decorate = [&](int, std::unique_ptr<transport::Communicator> inner) {
    return std::make_unique<DeviceGroup>(std::move(inner), [&] {
      return lacking ? absl::DeadlineExceededError("rank 1 has not joined") : absl::OkStatus();
    });
  };
  ToyGroup group({}, 2, ToyOptions(), true, decorate);
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank, Recalling("step", 1));
    ASSERT_PB_OK(rank.Step({kSequence}, 1));
  });
  lacking = true;
  group.OnEach([&](ToyRank& rank, int) {
    const Status status = rank.Step({kSequence}, 1);
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_EQ(status.message(), "rank 1 has not joined");
  });
}

TEST(RecallWithinStep, OfAPageThatOneRankMissesIsMissedByAll) {
  ExpectMissedByAll(Recalling("step", 0), /*steps=*/1);
}

}  // namespace
}  // namespace pinboard::testing
