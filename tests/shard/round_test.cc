// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A round: what stays, where it lies afterwards, and that every rank decides the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/shard/toy_group.h"

namespace pinboard::testing {
namespace {

constexpr std::uint64_t kSequence = 7;

using Positions = std::vector<std::vector<std::int32_t>>;  // [layer][row]

Positions AllPositions(ToyRank& rank, std::uint64_t sequence) {
  Positions positions;
  for (int l = 0; l < rank.shape().layers; ++l) {
    positions.push_back(rank.shard().RowPositions(sequence, l));
  }
  return positions;
}

/// Prefill of 300 tokens and one round; returns rank 0's row positions after checking every rank's
/// bytes.
Positions CompressOnce(const ToyModel& model, int tp, const SequenceOptions& policy,
                       int prompt = 300) {
  ShardOptions options = ToyOptions();
  options.observe_all_queries = policy.policy == "h2o";
  ToyGroup group(model, tp, options);
  std::vector<Positions> per_rank(tp);
  group.OnEach([&](ToyRank& rank, int index) {
    ASSERT_PB_OK(rank.Add(kSequence, policy));
    ASSERT_PB_OK(rank.Step({kSequence}, prompt));
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    ASSERT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    per_rank[index] = AllPositions(rank, kSequence);
  });
  for (const Positions& positions : per_rank) EXPECT_EQ(positions, per_rank[0]);
  return per_rank[0];
}

class RoundOverShapes : public ::testing::TestWithParam<std::tuple<bool, int, int>> {};

TEST_P(RoundOverShapes, KeepsTheBytesOfEveryRowThatStays) {
  ToyModel model;
  model.mla = std::get<0>(GetParam());
  model.block_size = std::get<1>(GetParam());
  const Positions positions = CompressOnce(model, std::get<2>(GetParam()), ToyPolicy());
  ASSERT_EQ(positions.size(), 3U);
  for (const auto& layer : positions) {
    EXPECT_EQ(layer.size(), 64U + 45U) << "4 ring pages and 15 % of 300 tokens";
    const std::set<std::int32_t> kept(layer.begin() + 64, layer.end());
    for (int sink = 0; sink < 4; ++sink) EXPECT_TRUE(kept.contains(sink));
    for (int recent = 300 - 16; recent < 300; ++recent) EXPECT_TRUE(kept.contains(recent));
  }
  EXPECT_NE(positions[0], positions[1]) << "each layer has a set of its own";
}

INSTANTIATE_TEST_SUITE_P(All, RoundOverShapes,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(16, 32, 64),
                                            ::testing::Values(1, 2, 4)));

constexpr float kFarTooLow = -1e30F;  // as no attention leaves it: a round refuses to score by it

TEST(Round, ScoresByTheLogSumExpsThatTheEngineHasShown) {
  ToyGroup group({}, 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    rank.log_sum_exp = kFarTooLow;
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_FALSE(outcomes.value()[0].applied);
  });
}

TEST(Round, TakesItsOwnSumsWhereAQueryOfTheWindowHasNone) {
  ToyGroup group({}, 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    rank.log_sum_exp = kFarTooLow;
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 299));
    rank.log_sum_exp.reset();
    ASSERT_PB_OK(rank.Step({kSequence}, 1));
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
  });
}

class RoundOverPolicies : public ::testing::TestWithParam<std::string> {};

TEST_P(RoundOverPolicies, SelectsTheSameRowsForEveryGroupSize) {
  for (const bool mla : {false, true}) {
    ToyModel model;
    model.mla = mla;
    const Positions alone = CompressOnce(model, 1, ToyPolicy(GetParam()));
    EXPECT_EQ(CompressOnce(model, 2, ToyPolicy(GetParam())), alone);
    EXPECT_EQ(CompressOnce(model, 8, ToyPolicy(GetParam())), alone)
        << "KV heads are replicated at tp 8";
  }
}

INSTANTIATE_TEST_SUITE_P(All, RoundOverPolicies,
                         ::testing::Values("random", "recency", "snapkv", "h2o", "tova", "rpc",
                                           "rkv", "expected-attention", "entropy-only",
                                           "shift-only", "infokv", "pinboard"));

/// Of the toy's positions, the `count` of highest `score` besides the sinks and the recent ones.
std::set<std::int32_t> Highest(const std::function<double(int)>& score, int count) {
  std::vector<std::int32_t> positions(300 - 16 - 4);
  std::iota(positions.begin(), positions.end(), 4);
  std::stable_sort(positions.begin(), positions.end(),
                   [&](int a, int b) { return score(a) > score(b); });
  return {positions.begin(), positions.begin() + count};
}

/// What a policy keeps of layer 0 besides the sinks and the recent rows.
std::set<std::int32_t> KeptByScore(const std::string& policy) {
  SequenceOptions options = ToyPolicy(policy);
  options.band = 0;
  std::set<std::int32_t> kept;
  const Positions positions = CompressOnce({}, 2, options);
  for (const std::int32_t position : positions[0]) {
    if (position >= 4 && position < 300 - 16) kept.insert(position);
  }
  return kept;
}

TEST(Round, EntropyOnlyKeepsWhatWasLeastCertain) {
  const ToyModel model;
  const auto entropy = [&](int position) {  // of the 16 likeliest tokens at position - 1
    std::vector<double> p(model.vocab);
    for (int v = 0; v < model.vocab; ++v) p[v] = std::exp(4 * ToyValue(4, 0, position - 1, 0, v));
    std::sort(p.rbegin(), p.rend());
    p.resize(16);
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    double nats = 0;
    for (const double one : p) nats -= one / sum * std::log(one / sum);
    return nats;
  };
  EXPECT_EQ(KeptByScore("entropy-only"), Highest(entropy, 45 - 16 - 4));
}

TEST(Round, ShiftOnlyKeepsWhatTheLastLayerChangesMost) {
  const ToyModel model;
  const auto shift = [&](int position) {
    double product = 0;
    double here = 0;
    double last = 0;
    for (int d = 0; d < model.hidden; ++d) {
      const double a = ToyValue(3, 0, position, 0, d);
      const double b = ToyValue(3, model.layers - 1, position, 0, d);
      product += a * b;
      here += a * a;
      last += b * b;
    }
    return 1 - product / std::sqrt(here * last);
  };
  EXPECT_EQ(KeptByScore("shift-only"), Highest(shift, 45 - 16 - 4));
}

/// Positions of the whole band in layer 0: the ring is as large as it.
std::set<std::int32_t> Band(const std::string& policy, double near_share) {
  SequenceOptions options = ToyPolicy(policy);
  options.near_share = near_share;
  options.recall_pages = 7;  // 40 % of 300 rows
  const std::vector<std::int32_t> rows = CompressOnce({}, 2, options)[0];
  return {rows.begin(), rows.begin() + 7 * 16};
}

TEST(Round, SharesTheBandBetweenTheScoreOfWhatIsKeptAndInformation) {
  const auto near = Band("infokv", 0.0);
  const auto far = Band("pinboard", 0.0);
  EXPECT_EQ(Band("pinboard", 1.0), near);
  EXPECT_NE(far, near);
  std::set<std::int32_t> either = near;
  either.insert(far.begin(), far.end());
  const auto both = Band("pinboard", 0.5);
  EXPECT_NE(both, near);
  EXPECT_NE(both, far);
  EXPECT_TRUE(std::includes(either.begin(), either.end(), both.begin(), both.end()));
}

TEST(Round, OfAPolicyThatKeepsAllGainsNothing) {
  ToyGroup group({}, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy("full")));
  ASSERT_PB_OK(rank.Step({kSequence}, 300));
  auto outcomes = rank.Compress({kSequence});
  ASSERT_TRUE(outcomes.ok());
  EXPECT_FALSE(outcomes.value()[0].applied);
  EXPECT_EQ(outcomes.value()[0].kept_all_because, "nothing to gain");
  EXPECT_EQ(rank.shard().Rows(kSequence, 0), 300);
}

/// A prefill of 300 tokens and one round of two ranks; the outcome of rank 0.
RoundOutcome Planned(const SequenceOptions& policy) {
  ShardOptions options = ToyOptions();
  options.export_plans = true;
  ToyGroup group({}, 2, options);
  std::vector<RoundOutcome> made(2);
  group.OnEach([&](ToyRank& rank, int index) {
    ASSERT_PB_OK(rank.Add(kSequence, policy));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    made[index] = outcomes.value()[0];
    ASSERT_PB_OK(rank.Step({kSequence}, 1));
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    EXPECT_EQ(rank.shard().Rows(kSequence, 0), made[0].rows[0] + 1);
  });
  EXPECT_EQ(made[0].plan, made[1].plan);
  EXPECT_EQ(group.pages().pages() > 0, made[0].applied);
  return made[0];
}

TEST(Round, ExportsItsPlanByPosition) {
  const Positions rows = CompressOnce({}, 2, ToyPolicy());
  const RoundOutcome outcome = Planned(ToyPolicy());
  ASSERT_EQ(outcome.plan.size(), rows.size());
  std::int64_t offloaded = 0;
  for (std::size_t l = 0; l < rows.size(); ++l) {
    const PlannedLayer& layer = outcome.plan[l];
    EXPECT_EQ(layer.kept, std::vector<std::int32_t>(rows[l].begin() + 64, rows[l].end()));
    std::vector<std::int32_t> ring(rows[l].begin(), rows[l].begin() + 64);
    std::sort(ring.begin(), ring.end());
    EXPECT_TRUE(
        std::includes(layer.offloaded.begin(), layer.offloaded.end(), ring.begin(), ring.end()));
    EXPECT_EQ(layer.kept.size() + layer.offloaded.size() + layer.dropped, 300U);
    EXPECT_EQ(layer.kept_scores.rows, 45 - 16 - 4) << "all but window and sinks";
    EXPECT_EQ(layer.other_scores.rows, 300 - 45);
    EXPECT_GE(layer.kept_scores.lowest, layer.other_scores.highest);
    EXPECT_GT(layer.kept_scores.highest, layer.kept_scores.mean);
    EXPECT_GT(layer.other_scores.mean, layer.other_scores.lowest);
    offloaded += static_cast<std::int64_t>(layer.offloaded.size());
  }
  EXPECT_EQ(offloaded, outcome.borderline);
}

TEST(Round, OnlyObservedPlansTheSameAndChangesNothing) {
  SequenceOptions observe = ToyPolicy();
  observe.observe = true;
  const RoundOutcome applied = Planned(ToyPolicy());
  const RoundOutcome observed = Planned(observe);
  EXPECT_TRUE(applied.applied);
  EXPECT_FALSE(observed.applied);
  EXPECT_EQ(observed.kept_all_because, "only observed");
  EXPECT_EQ(observed.rows[0], 300);
  EXPECT_EQ(observed.plan, applied.plan);
  EXPECT_EQ(observed.plan_hash, applied.plan_hash);
}

TEST(Round, WithoutAStoreAnObservedOnePlansAsIfThereWereOne) {
  ShardOptions options = ToyOptions();
  options.export_plans = true;
  ToyGroup group({}, 1, options, /*with_store=*/false);
  ToyRank& rank = group.rank(0);
  SequenceOptions observe = ToyPolicy();
  observe.observe = true;
  ASSERT_PB_OK(rank.Add(kSequence, observe));
  for (int round = 0; round < 2; ++round) {
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    const auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_EQ(outcomes.value()[0].rows[0], 300 * (round + 1));
    ASSERT_EQ(outcomes.value()[0].plan.size(), 3U);
    EXPECT_GT(outcomes.value()[0].plan[0].offloaded.size(), 64U);
  }
  EXPECT_EQ(rank.shard().stats().rounds_kept_all, 0U);
  EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
}

TEST(Round, CommittedForOtherSequencesEndsAndEveryRankKeepsEverything) {
  ToyGroup group({}, 2, ToyOptions());
  SequenceOptions options = ToyPolicy();
  options.round_every = 100;
  group.OnEach([&](ToyRank& rank, int index) {
    for (const std::uint64_t sequence : {1, 2}) {
      ASSERT_PB_OK(rank.Add(sequence, options));
      ASSERT_PB_OK(rank.Step({sequence}, 300));
    }
    EXPECT_EQ(rank.shard().DueForRound(0, 1).size(), 2);
    ASSERT_PB_OK(rank.Begin({1, 2}));
    if (index == 0) {
      auto outcomes = rank.Commit({1, 2});
      ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
      EXPECT_EQ(outcomes.value()[0].kept_all_because, "another rank was not ready");
    } else {
      EXPECT_EQ(rank.Commit({2, 1}).status().code(), StatusCode::kFailedPrecondition);
    }
    EXPECT_TRUE(rank.shard().DueForRound(0, 1).empty()) << "the same on every rank";
    EXPECT_EQ(rank.FirstWrongRow(1), "");
    auto outcomes = rank.Compress({1, 2});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_TRUE(outcomes.value()[0].applied);
  });
}

TEST(Round, IsCommittedOnceForTheSequencesItWasBegunWith) {
  ToyGroup group({}, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  for (const std::uint64_t sequence : {1, 2}) {
    ASSERT_PB_OK(rank.Add(sequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({sequence}, 300));
  }
  EXPECT_EQ(rank.Begin({1, 1}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(rank.Begin({1, 3}).code(), StatusCode::kNotFound);
  ASSERT_PB_OK(rank.Begin({1, 2}));
  EXPECT_EQ(rank.Begin({1}).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(rank.shard().RemoveSequence(2).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(rank.Commit({1, 2}).ok());
  EXPECT_EQ(rank.Commit({1, 2}).status().code(), StatusCode::kFailedPrecondition);
  for (const std::uint64_t sequence : {1, 2}) EXPECT_EQ(rank.FirstWrongRow(sequence), "");
  ASSERT_PB_OK(rank.Remove(2));
}

TEST(Round, FreesTheBlocksItEmpties) {
  ToyGroup group({}, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
  ASSERT_PB_OK(rank.Step({kSequence}, 300));
  const std::size_t before = rank.free_blocks();
  ASSERT_TRUE(rank.Compress({kSequence}).ok());
  EXPECT_EQ(rank.table(kSequence).size(), (64U + 45U + 15U) / 16U);
  EXPECT_EQ(rank.free_blocks(), before + 19 - 7);
}

class RoundOfSharers : public ::testing::TestWithParam<bool> {
 protected:
  ToyModel model() const {
    ToyModel model;
    model.mla = GetParam();
    return model;
  }
};

TEST_P(RoundOfSharers, LeavesTheOthersTheirRowsAndKeepsWhatOneAloneWouldKeep) {
  ToyGroup group(model(), 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    for (const std::uint64_t alone : {1, 2}) {
      ASSERT_PB_OK(rank.Add(alone, ToyPolicy()));
      ASSERT_PB_OK(rank.Step({alone}, 300));
    }
    const std::size_t free = rank.free_blocks();
    ASSERT_PB_OK(rank.ForkSharing(1, 3, 300, ToyPolicy()));
    ASSERT_PB_OK(rank.ForkSharing(1, 4, 260, ToyPolicy()));
    EXPECT_EQ(rank.free_blocks(), free - 2) << "the part of a last block of each";
    ASSERT_PB_OK(rank.Step({4}, 40));
    ASSERT_PB_OK(rank.Begin({3, 4, 2}));
    for (int step = 0; step < 20; ++step) ASSERT_PB_OK(rank.Step({3}, 1));
    auto outcomes = rank.Commit({3, 4, 2});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    for (const RoundOutcome& outcome : outcomes.value()) EXPECT_TRUE(outcome.applied);
    EXPECT_EQ(rank.shard().Rows(3, 0), 64 + 45 + 20);
    EXPECT_EQ(rank.shard().Rows(1, 0), 300);
    for (const std::uint64_t one : {1, 2, 3, 4}) ASSERT_EQ(rank.FirstWrongRow(one), "") << one;
    const Positions alone = AllPositions(rank, 2);
    EXPECT_EQ(AllPositions(rank, 4), alone) << "E of the shared rows came along";
    Positions of_fork = AllPositions(rank, 3);
    for (auto& layer : of_fork) layer.resize(64 + 45);
    EXPECT_EQ(of_fork, alone);
    ASSERT_TRUE(rank.Compress({1}).ok());
    EXPECT_EQ(AllPositions(rank, 1), alone);
    for (const std::uint64_t one : {1, 2, 3, 4}) ASSERT_EQ(rank.FirstWrongRow(one), "") << one;
  });
}

TEST_P(RoundOfSharers, OfACompactedSequenceHaveARingEach) {
  ToyGroup group(model(), 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Add(1, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({1}, 300));
    ASSERT_TRUE(rank.Compress({1}).ok());
    EXPECT_EQ(rank.shard().RingRows(1, 0), 64);
    EXPECT_EQ(rank.shard().ForkSequence(1, 2, 299, ToyPolicy()).code(),
              StatusCode::kFailedPrecondition);
    ASSERT_PB_OK(rank.ForkSharing(1, 2, 300, ToyPolicy()));
    for (int wanted = 10; wanted < 280; wanted += 30) {
      ASSERT_PB_OK(rank.Step({2}, 4, wanted));
      ASSERT_EQ(rank.FirstWrongRow(1), "") << "wanted " << wanted;
      ASSERT_EQ(rank.FirstWrongRow(2), "") << "wanted " << wanted;
    }
    auto outcomes = rank.Compress({2});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_TRUE(outcomes.value()[0].applied);
    ASSERT_EQ(rank.FirstWrongRow(1), "");
    ASSERT_EQ(rank.FirstWrongRow(2), "");
  });
}

TEST_P(RoundOfSharers, WithoutBlocksForOneItKeepsEverythingAndIsCounted) {
  ToyGroup group(model(), 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Add(1, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({1}, 300));
    ASSERT_PB_OK(rank.ForkSharing(1, 2, 300, ToyPolicy()));
    ASSERT_PB_OK(rank.Add(3, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({3}, 300));
    rank.set_starved(true);
    auto outcomes = rank.Compress({2, 3});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    EXPECT_FALSE(outcomes.value()[0].applied);
    EXPECT_EQ(outcomes.value()[0].kept_all_because, "no blocks are free for rows that are shared");
    EXPECT_TRUE(outcomes.value()[1].applied) << "it shares nothing";
    EXPECT_EQ(rank.shard().stats().rounds_without_blocks, 1U);
    rank.set_starved(false);
    outcomes = rank.Compress({2});
    ASSERT_TRUE(outcomes.ok());
    EXPECT_TRUE(outcomes.value()[0].applied);
    for (const std::uint64_t one : {1, 2, 3}) ASSERT_EQ(rank.FirstWrongRow(one), "") << one;
  });
}

INSTANTIATE_TEST_SUITE_P(All, RoundOfSharers, ::testing::Bool());

TEST(Round, CountsWhatItMadeOfRowsAndWhereItsTimeWent) {
  ToyGroup group({}, 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    RoundOutcome sum;
    for (int round = 0; round < 2; ++round) {
      ASSERT_PB_OK(rank.Step({kSequence}, 200));
      auto outcomes = rank.Compress({kSequence});
      ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
      sum.kept += outcomes.value()[0].kept;
      sum.ring += outcomes.value()[0].ring;
      sum.borderline += outcomes.value()[0].borderline;
      sum.dropped += outcomes.value()[0].dropped;
    }
    const ShardStats stats = rank.shard().stats();
    EXPECT_GT(sum.dropped, 0);
    EXPECT_EQ(stats.rows_kept, static_cast<std::uint64_t>(sum.kept));
    EXPECT_EQ(stats.rows_in_rings, static_cast<std::uint64_t>(sum.ring));
    EXPECT_EQ(stats.rows_offloaded, static_cast<std::uint64_t>(sum.borderline));
    EXPECT_EQ(stats.rows_dropped, static_cast<std::uint64_t>(sum.dropped));
    for (const std::uint64_t ns :
         {stats.round_plan_ns, stats.round_prepare_ns, stats.round_vote_ns, stats.round_apply_ns}) {
      EXPECT_GT(ns, 0U);
    }
  });
}

TEST(Round, PlansTheRowsThatItLeaves) {
  ToyGroup group({}, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
  ASSERT_PB_OK(rank.Step({kSequence}, 300));
  for (int round = 0; round < 5; ++round) {
    const std::vector<int> planned = rank.shard().PlannedRows(kSequence);
    ASSERT_EQ(planned.size(), 1U) << "one table serves all layers";
    ASSERT_TRUE(rank.Compress({kSequence}).ok());
    EXPECT_EQ(rank.shard().Rows(kSequence, 0), planned.front());
    EXPECT_TRUE(rank.shard().PlannedRows(kSequence).empty()) << "nothing more to gain";
    ASSERT_PB_OK(rank.Step({kSequence}, 37));
  }
}

TEST(Round, RepeatedOverALongDecodeStaysWithinItsBudget) {
  for (const bool mla : {false, true}) {
    ToyModel model;
    model.mla = mla;
    ToyGroup group(model, 2, ToyOptions());
    group.OnEach([&](ToyRank& rank, int) {
      ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
      ASSERT_PB_OK(rank.Step({kSequence}, 200));
      for (int round = 0; round < 6; ++round) {
        for (int step = 0; step < 40; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1));
        auto outcomes = rank.Compress({kSequence});
        ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
        ASSERT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
        ASSERT_EQ(rank.FirstWrongRow(kSequence), "");
      }
      const int length = rank.shard().Length(kSequence);
      EXPECT_EQ(length, 440);
      EXPECT_EQ(rank.shard().Rows(kSequence, 0), 64 + 66) << "the ring and 15 % of 440";
    });
    EXPECT_GT(group.pages().pages(), 0);
  }
}

/// What a round ends with whose rows are to go where `spoil` says.
Status CommittedInto(const std::function<void(std::vector<std::int32_t>&)>& spoil) {
  ToyGroup group({}, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  EXPECT_TRUE(rank.Add(kSequence, ToyPolicy()).ok());
  EXPECT_TRUE(rank.Step({kSequence}, 300).ok());
  const std::vector<std::int32_t> source = rank.table(kSequence);
  std::vector<std::int32_t> destination = source;
  spoil(destination);
  const std::vector<Shard::RoundEntry> entries = {{kSequence, {source}, {destination}}};
  EXPECT_TRUE(rank.shard().BeginRound(entries).ok());
  return rank.shard().CommitRound(entries).status();
}

TEST(Round, EndsWithTheCensus) {
  EXPECT_TRUE(CommittedInto([](auto&) {}).ok());
  const Status twice = CommittedInto([](auto& table) { table.back() = table.front(); });
  EXPECT_EQ(twice.code(), StatusCode::kInternal);
  EXPECT_NE(twice.message().find("is used twice"), std::string::npos) << twice.message();
  const Status lost = CommittedInto([](auto& table) { table[5] = table[4]; });
  EXPECT_EQ(lost.code(), StatusCode::kInternal);
  EXPECT_NE(lost.message().find("does not hold the bytes that were kept"), std::string::npos)
      << lost.message();
}

/// Pages that all ranks together send away in one round; each lies in the store once.
std::uint64_t PagesOffloaded(const ToyModel& model, int tp) {
  ToyGroup group(model, tp, ToyOptions());
  std::vector<std::uint64_t> sent(tp);
  group.OnEach([&](ToyRank& rank, int index) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    ASSERT_TRUE(rank.Compress({kSequence}).ok());
    sent[index] = rank.shard().stats().pages_offloaded;
  });
  const std::uint64_t all = std::accumulate(sent.begin(), sent.end(), std::uint64_t{0});
  EXPECT_EQ(static_cast<std::uint64_t>(group.pages().pages()), all);
  EXPECT_GT(*std::min_element(sent.begin(), sent.end()), 0U) << "the ranks share the work";
  return all;
}

TEST(Round, SendsOneCopyOfAnMlaPageForTheWholeGroup) {
  ToyModel model;
  model.mla = true;
  EXPECT_EQ(PagesOffloaded(model, 4), 3U * 7U) << "3 layers, 40 % of 300 rows in whole pages, once";
}

TEST(Round, SendsOneCopyOfAReplicatedKvHead) {
  EXPECT_EQ(PagesOffloaded({}, 8), 4U * 3U * 7U) << "4 KV heads, not 8 ranks";
}

TEST(Round, WithoutAStoreKeepsTheBudgetAndNoRing) {
  ToyGroup group({}, 2, ToyOptions(), /*with_store=*/false);
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok());
    EXPECT_EQ(outcomes.value()[0].rows.front(), 45);
    EXPECT_EQ(outcomes.value()[0].borderline, 0);
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

TEST(Round, ForgetsASequencesPagesWhenItEnds) {
  ToyGroup group({}, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
  ASSERT_PB_OK(rank.Step({kSequence}, 300));
  ASSERT_TRUE(rank.Compress({kSequence}).ok());
  EXPECT_GT(group.pages().pages(), 0);
  EXPECT_GT(rank.shard().stats().digest_bytes, 0U);
  ASSERT_PB_OK(rank.Remove(kSequence));
  EXPECT_EQ(group.pages().pages(), 0);
  EXPECT_EQ(rank.shard().stats().digest_bytes, 0U);
}

TEST(Round, KeepsAPromptProtectingPoliciesPrompt) {
  SequenceOptions policy = ToyPolicy("random-prompt");
  policy.prompt_tokens = 100;
  for (const auto& layer : CompressOnce({}, 1, policy)) {
    const std::set<std::int32_t> rows(layer.begin(), layer.end());
    for (int position = 0; position < 100; ++position) EXPECT_TRUE(rows.contains(position));
  }
}

TEST(AddSequence, RefusesWhatItDoesNotKnow) {
  ToyGroup group({}, 1, ToyOptions());
  SequenceOptions policy = ToyPolicy("magic");
  EXPECT_EQ(group.rank(0).Add(1, policy).code(), StatusCode::kInvalidArgument);
  policy = ToyPolicy();
  policy.fusion = "sum";
  EXPECT_EQ(group.rank(0).Add(1, policy).code(), StatusCode::kInvalidArgument);
  policy = ToyPolicy();
  policy.budget = 0.0;
  EXPECT_EQ(group.rank(0).Add(1, policy).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(group.rank(0).Add(1, ToyPolicy("h2o")).code(), StatusCode::kFailedPrecondition);
  ASSERT_PB_OK(group.rank(0).Add(1, ToyPolicy()));
  EXPECT_EQ(group.rank(0).Add(1, ToyPolicy()).code(), StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace pinboard::testing
