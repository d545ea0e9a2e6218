// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// When pages are chosen: the triggers of recall.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "tests/shard/recall_probe.h"
#include "tests/shard/troubled_communicator.h"

namespace pinboard::testing {
namespace {

constexpr int kLayers = 3;

/// After how many of the steps, each looking for `look_for`, pages had been chosen: one entry a
/// step.
std::vector<std::uint64_t> Choices(ToyRank& rank, const std::vector<int>& look_for) {
  std::vector<std::uint64_t> choices;
  for (const int position : look_for) {
    EXPECT_TRUE(rank.Step({kSequence}, 1, position).ok());
    choices.push_back(rank.shard().stats().recall_choices);
  }
  return choices;
}

class RecallWhenOverGroups : public ::testing::TestWithParam<int> {};

TEST_P(RecallWhenOverGroups, ByIntervalChoosesAtTheFirstStepAndEveryThirdAfter) {
  ToyGroup group({}, GetParam(), ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank, Recalling("interval:3"));
    EXPECT_EQ(Choices(rank, {20, 20, 20, 20, 20, 20, 20}),
              (std::vector<std::uint64_t>{1, 1, 1, 2, 2, 2, 3}));
  });
}

// The queries of one position are alike, those of two are not: the drift of a step is known at its
// end, so the next one chooses.
TEST_P(RecallWhenOverGroups, ByDriftChoosesAtTheStepAfterTheQueriesTurned) {
  ToyGroup group({}, GetParam(), ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank, Recalling("drift:0.9"));
    EXPECT_EQ(Choices(rank, {20, 20, 20, 50, 50, 50}),
              (std::vector<std::uint64_t>{1, 1, 1, 1, 2, 2}));
  });
}

TEST_P(RecallWhenOverGroups, ByEntropyChoosesForATokenThatWasUncertain) {
  std::vector<float> entropy;  // of each step's next token
  ToyGroup plain({}, 1, ToyOptions());
  Prefill(plain.rank(0), Recalling("step"));
  for (int step = 0; step < 6; ++step) {
    ASSERT_PB_OK(plain.rank(0).Step({kSequence}, 1, 20));
    entropy.push_back(plain.rank(0).results().front().next_entropy);
  }
  std::vector<float> sorted = entropy;
  std::sort(sorted.begin(), sorted.end());
  const double threshold = (sorted[2] + sorted[3]) / 2;
  std::vector<std::uint64_t> expected = {1};
  for (int step = 1; step < 6; ++step) {
    expected.push_back(expected.back() + (entropy[step - 1] > threshold ? 1 : 0));
  }
  ToyGroup group({}, GetParam(), ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    Prefill(rank, Recalling("entropy:" + std::to_string(threshold)));
    EXPECT_EQ(Choices(rank, std::vector<int>(6, 20)), expected);
  });
}

INSTANTIATE_TEST_SUITE_P(All, RecallWhenOverGroups, ::testing::Values(1, 2, 4));

TEST(RecallWhen, AStepThatIsNotDueLeavesTheRingAsItIs) {
  const int wanted = FindRecallable({})[0];
  ToyGroup group({}, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  Prefill(rank, Recalling("interval:4"));
  ASSERT_PB_OK(rank.Step({kSequence}, 1));
  ASSERT_PB_OK(rank.Step({kSequence}, 1));
  const auto rows = rank.shard().RowPositions(kSequence, 0);
  const std::vector<std::int32_t> ring(rows.begin(), rows.begin() + 64);
  ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
  ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
  const auto later = rank.shard().RowPositions(kSequence, 0);
  EXPECT_EQ(std::vector<std::int32_t>(later.begin(), later.begin() + 64), ring);
}

/// The trigger, recall_ahead.
class CollectivesOverTriggers : public ::testing::TestWithParam<std::tuple<const char*, int>> {
 protected:
  /// Collectives of each rank in each step and round of a run that drifts, forks nothing, and has
  /// three sequences of which one recalls one step behind.
  static std::vector<std::vector<std::vector<Collective>>> Record(int tp) {
    std::vector<TroubledCommunicator*> recorders(tp);
    const Decorate decorate = [&](int rank, std::unique_ptr<transport::Communicator> inner) {
      auto recorder = std::make_unique<TroubledCommunicator>(std::move(inner), nullptr, nullptr);
      recorders[rank] = recorder.get();
      return recorder;
    };
    ToyModel model;
    model.blocks = 128;
    ToyGroup group(model, tp, ToyOptions(), true, decorate);
    std::vector<std::vector<std::vector<Collective>>> issued(tp);
    group.OnEach([&](ToyRank& rank, int index) {
      std::size_t seen = 0;
      const auto note = [&] {
        const auto& kinds = recorders[index]->kinds();
        issued[index].emplace_back(kinds.begin() + static_cast<std::ptrdiff_t>(seen), kinds.end());
        seen = kinds.size();
      };
      const auto [when, ahead] = GetParam();
      ASSERT_PB_OK(rank.Add(1, Recalling(when, ahead)));
      ASSERT_PB_OK(rank.Add(2, Recalling(when, ahead)));
      ASSERT_PB_OK(rank.Add(3, Recalling("interval:5")));
      for (const std::uint64_t sequence : {1, 2, 3}) {
        ASSERT_PB_OK(rank.Step({sequence}, 200));
        note();
      }
      ASSERT_TRUE(rank.Compress({1, 2, 3}).ok());
      note();
      for (int step = 0; step < 40; ++step) {
        const int look_for = step % 10 < 6 ? 20 : 20 + step;
        if (step % 3 == 0) {
          ASSERT_PB_OK(rank.Step({2, 3}, 1, look_for));
        } else {
          ASSERT_PB_OK(rank.Step({1, 2, 3}, 1, look_for));
        }
        note();
        if (step % 16 == 12) {
          ASSERT_PB_OK(rank.Begin({1, 3}));
        } else if (step % 16 == 15) {
          ASSERT_TRUE(rank.Commit({1, 3}).ok());
        }
        note();
      }
    });
    return issued;
  }
};

TEST_P(CollectivesOverTriggers, AreTheSameOnEveryRankInEveryStepAndRound) {
  const auto issued = Record(4);
  ASSERT_EQ(issued[0].size(), 84U);
  std::size_t sums = 0;
  for (const auto& step : issued[0]) {
    sums += std::count(step.begin(), step.end(), Collective::kSumInt32);
  }
  EXPECT_GT(sums, 4U) << "nothing was recalled";
  for (int rank = 1; rank < 4; ++rank) EXPECT_EQ(issued[rank], issued[0]) << "rank " << rank;
}

TEST_P(CollectivesOverTriggers, OfAGroupOfOneAreNone) {
  const auto issued = Record(1);
  for (const auto& step : issued[0]) EXPECT_TRUE(step.empty());
}

INSTANTIATE_TEST_SUITE_P(All, CollectivesOverTriggers,
                         ::testing::Combine(::testing::Values("step", "interval:4", "drift:0.7",
                                                              "entropy:2.3"),
                                            ::testing::Values(-1, 0, 1)));

TEST(RecallOptions, OutOfRangeAreRefusedByName) {
  ToyGroup group({}, 1, ToyOptions());
  EXPECT_NE(group.rank(0).Add(1, Recalling("sometimes")).message().find("recall_when"),
            std::string::npos);
  EXPECT_NE(group.rank(0).Add(1, Recalling("step", kLayers)).message().find("use 0 to 2 layers"),
            std::string::npos);
  EXPECT_FALSE(group.rank(0).Add(1, Recalling("step", -2)).ok());
}

}  // namespace
}  // namespace pinboard::testing
