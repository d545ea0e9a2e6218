// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Layers that keep unequal counts, and layers that choose together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/shard/toy_group.h"

namespace pinboard::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Lt;

constexpr std::uint64_t kSequence = 7;

using Positions = std::vector<std::vector<std::int32_t>>;  // [layer][row]

ToyModel LayeredModel(bool mla = false) {
  ToyModel model;
  model.mla = mla;
  model.layer_tables = true;
  model.blocks = 256;
  return model;
}

SequenceOptions Shared(const std::string& layers, const std::string& policy = "pinboard") {
  SequenceOptions options = ToyPolicy(policy);
  options.layers = layers;
  return options;
}

Positions AllPositions(ToyRank& rank) {
  Positions positions;
  for (int l = 0; l < rank.shape().layers; ++l) {
    positions.push_back(rank.shard().RowPositions(kSequence, l));
  }
  return positions;
}

/// A prompt of 300 tokens and a round; then `rounds` times 48 single tokens and a round. Checks
/// every rank's bytes, and that all ranks have the same rows.
Positions Compress(const ToyModel& model, int tp, const SequenceOptions& options, int rounds = 0) {
  ToyGroup group(model, tp, ToyOptions());
  std::vector<Positions> per_rank(tp);
  group.OnEach([&](ToyRank& rank, int index) {
    ASSERT_PB_OK(rank.Add(kSequence, options));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    for (int round = 0;; ++round) {
      auto outcomes = rank.Compress({kSequence});
      ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
      ASSERT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
      for (int l = 0; l < model.layers && model.layer_tables; ++l) {
        EXPECT_EQ(outcomes.value()[0].rows[l], rank.shard().Rows(kSequence, l));
      }
      if (round == rounds) break;
      for (int step = 0; step < 48; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1));
    }
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    per_rank[index] = AllPositions(rank);
    ASSERT_PB_OK(rank.Remove(kSequence));
    EXPECT_EQ(rank.free_blocks(), static_cast<std::size_t>(model.blocks));
  });
  for (const Positions& positions : per_rank) EXPECT_EQ(positions, per_rank[0]);
  return per_rank[0];
}

std::vector<int> Counts(const Positions& positions) {
  std::vector<int> counts;
  for (const auto& layer : positions) counts.push_back(static_cast<int>(layer.size()));
  return counts;
}

class Layers : public ::testing::TestWithParam<std::tuple<bool, std::string>> {
 protected:
  ToyModel model() const { return LayeredModel(std::get<0>(GetParam())); }
  std::string share() const { return std::get<1>(GetParam()); }
};

TEST_P(Layers, EveryGroupSizeKeepsTheSameRowsAndTheirBytes) {
  const Positions alone = Compress(model(), 1, Shared(share()), 3);
  EXPECT_EQ(Compress(model(), 2, Shared(share()), 3), alone);
  EXPECT_EQ(Compress(model(), 4, Shared(share()), 3), alone);
}

INSTANTIATE_TEST_SUITE_P(All, Layers,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values("uniform", "pyramid", "adaptive")),
                         [](const auto& info) {
                           return (std::get<0>(info.param) ? "mla_" : "gqa_") +
                                  std::get<1>(info.param);
                         });

TEST(LayerCounts, APyramidIsWideAtTheFirstLayer) {
  SequenceOptions options = Shared("pyramid");
  options.recall_pages = 0;
  // 45 rows in the mean, 20 of them protected: 25 more fall from 48.75 to 1.25.
  EXPECT_THAT(Counts(Compress(LayeredModel(), 2, options)), ElementsAre(69, 45, 21));
}

TEST(LayerCounts, PyramidKvHasAPyramidOfItsOwnAndSnapKvsRows) {
  SequenceOptions options = ToyPolicy("pyramidkv");
  options.band = 0;
  const Positions pyramid = Compress(LayeredModel(), 2, options);
  EXPECT_THAT(Counts(pyramid), ElementsAre(69, 45, 21));
  options.policy = "snapkv";
  const Positions equal = Compress(LayeredModel(), 2, options);
  EXPECT_EQ(pyramid[1], equal[1]) << "where the counts are the same, the rows are";
  options.policy = "pyramidkv";
  options.layers = "uniform";
  EXPECT_EQ(Compress(LayeredModel(), 2, options), equal);
}

TEST(LayerCounts, AdaptiveGivesMostToTheLayersOfMostInformation) {
  SequenceOptions options = Shared("adaptive");
  options.budget = 0.3;
  options.recall_pages = 0;
  const std::vector<int> counts = Counts(Compress(LayeredModel(), 2, options));
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), 3 * 90);
  // E = (D + 1) H: D of the last layer is 0, of the others about 1.
  EXPECT_THAT(counts[0], AllOf(Gt(100), Lt(116)));
  EXPECT_THAT(counts[1], AllOf(Gt(100), Lt(116)));
}

TEST(LayerCounts, ALayerWithNothingToLoseKeepsItsRows) {
  SequenceOptions options = Shared("pyramid");
  options.budget = 0.6;
  options.band = 0;
  const Positions positions = Compress(LayeredModel(), 2, options);
  // 160 besides the protected 20 rows, and no layer has more than 280: 280, 160, 40.
  EXPECT_THAT(Counts(positions), ElementsAre(300, 180, 60));
  std::vector<std::int32_t> all(300);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(positions[0], all);
}

TEST(LayerCounts, WithTablesOfTheirOwnUniformLayersKeepWhatTheyKeepWithASharedOne) {
  EXPECT_EQ(Compress(LayeredModel(), 2, ToyPolicy(), 2), Compress(ToyModel(), 2, ToyPolicy(), 2));
}

TEST(LayerCounts, ASharedTableCannotHoldUnequalCounts) {
  ToyGroup group({}, 1, ToyOptions());
  const auto refused = [&](const SequenceOptions& options) {
    const Status status = group.rank(0).Add(kSequence, options);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    return status.message();
  };
  EXPECT_THAT(refused(Shared("pyramid")), HasSubstr("use tables=layer or layers=uniform"));
  EXPECT_THAT(refused(Shared("adaptive")), HasSubstr("adaptive budgets keep unequal counts"));
  EXPECT_THAT(refused(ToyPolicy("pyramidkv")), HasSubstr("pyramid budgets"));
  EXPECT_THAT(refused(Shared("cone")), HasSubstr("use uniform, pyramid or adaptive"));
  SequenceOptions options = ToyPolicy();
  options.scope = "head";
  EXPECT_THAT(refused(options), HasSubstr("use layer or global"));
  EXPECT_TRUE(group.rank(0).Add(kSequence, Shared("uniform", "pyramidkv")).ok());
}

TEST(LayerCounts, AnotherNumberOfTablesIsRefused) {
  ToyGroup group(LayeredModel(), 1, ToyOptions());
  Shard& shard = group.rank(0).shard();
  ASSERT_PB_OK(shard.AddSequence(kSequence, ToyPolicy()));
  const std::vector<std::int32_t> table = {0};
  const std::vector<StepEntry> step = {{kSequence, 1, {table}}};
  EXPECT_THAT(shard.BeginStep(step).message(), HasSubstr("1 block tables instead of 3"));
  const std::vector<Shard::RoundEntry> round = {{kSequence, {table}}};
  EXPECT_THAT(shard.BeginRound(round).message(), HasSubstr("1 block tables instead of 3"));
}

std::set<std::int32_t> Kept(const std::vector<std::int32_t>& layer, int ring_rows) {
  return {layer.begin() + ring_rows, layer.end()};
}

TEST(GlobalScope, AllLayersKeepTheSamePositionsRoundAfterRound) {
  for (const bool layer_tables : {false, true}) {
    for (const int rounds : {0, 4}) {
      ToyModel model = LayeredModel();
      model.layer_tables = layer_tables;
      SequenceOptions options = ToyPolicy();
      options.scope = "global";
      const Positions positions = Compress(model, 2, options, rounds);
      const std::set<std::int32_t> first = Kept(positions[0], 64);
      EXPECT_EQ(Kept(positions[1], 64), first);
      EXPECT_EQ(Kept(positions[2], 64), first);
      EXPECT_EQ(Compress(model, 4, options, rounds), positions);
      options.scope = "layer";
      EXPECT_NE(Kept(Compress(model, 2, options, rounds)[0], 64), first);
    }
  }
}

TEST(GlobalScope, ARowIsRankedByTheSumOverTheLayers) {
  SequenceOptions options = ToyPolicy("shift-only");
  options.band = 0;
  options.scope = "global";
  const ToyModel model;
  const auto shift = [&](int layer, int position) {
    double product = 0, here = 0, last = 0;
    for (int d = 0; d < model.hidden; ++d) {
      const double a = ToyValue(3, layer, position, 0, d);
      const double b = ToyValue(3, model.layers - 1, position, 0, d);
      product += a * b;
      here += a * a;
      last += b * b;
    }
    return 1 - product / std::sqrt(here * last);
  };
  std::vector<int> ranked(280);  // neither a sink nor recent
  std::iota(ranked.begin(), ranked.end(), 4);
  std::sort(ranked.begin(), ranked.end(),
            [&](int a, int b) { return shift(0, a) + shift(1, a) > shift(0, b) + shift(1, b); });
  std::set<std::int32_t> expected(ranked.begin(), ranked.begin() + 25);
  for (int p = 0; p < 300; ++p) {
    if (p < 4 || p >= 284) expected.insert(p);
  }
  EXPECT_EQ(Kept(Compress(model, 2, options)[2], 0), expected);
}

TEST(Options, EachSequenceOfARoundHasItsOwn) {
  ToyGroup group(LayeredModel(), 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Add(1, ToyPolicy("recency")));
    SequenceOptions other = Shared("pyramid", "snapkv");
    other.budget = 0.3;
    other.recall_pages = 0;
    ASSERT_PB_OK(rank.Add(2, other));
    ASSERT_PB_OK(rank.Step({1, 2}, 300));
    ASSERT_TRUE(rank.Compress({1, 2}).ok());
    const auto recent = rank.shard().RowPositions(1, 2);
    EXPECT_EQ(std::set<std::int32_t>(recent.begin() + 64, recent.end()).size(), 45U);
    EXPECT_EQ(recent.back() - recent[64 + 4], 40) << "sinks, then the last 41";
    EXPECT_THAT((std::vector<int>{rank.shard().Rows(2, 0), rank.shard().Rows(2, 1),
                                  rank.shard().Rows(2, 2)}),
                ElementsAre(157, 90, 23));
  });
}

}  // namespace
}  // namespace pinboard::testing
