// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The live quality signals fall and rise with what a query finds in the cache.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/shard/recall_probe.h"

namespace pinboard::testing {
namespace {

constexpr int kRingRows = 4 * 16;

ToyModel OneLayer() {
  ToyModel model;
  model.layers = 1;
  return model;
}

/// What the last of `steps` steps, each looking for `position`, added to the stats.
ShardStats LastStep(ToyRank& rank, int steps, int position) {
  ShardStats before;
  for (int step = 0; step < steps; ++step) {
    before = rank.shard().stats();
    EXPECT_TRUE(rank.Step({kSequence}, 1, position).ok());
  }
  ShardStats added = rank.shard().stats();
  added.quality_samples -= before.quality_samples;
  added.evicted_attention -= before.evicted_attention;
  added.ring_rows_sampled -= before.ring_rows_sampled;
  added.ring_rows_attended -= before.ring_rows_attended;
  return added;
}

TEST(QualitySignal, ALostRowIsMissedUntilItIsRecalledAndThenAttendedTo) {
  ShardOptions options = ToyOptions();
  options.quality_every = 1;
  const int wanted = FindRecallable(OneLayer())[0];
  ToyGroup group(OneLayer(), 1, options);
  ToyRank& rank = group.rank(0);
  Prefill(rank);
  const ShardStats missed = LastStep(rank, 1, wanted);
  const ShardStats recalled = LastStep(rank, 1, wanted);
  for (const ShardStats& stats : {missed, recalled}) {
    EXPECT_EQ(stats.quality_samples, 1U);
    EXPECT_EQ(stats.ring_rows_sampled, std::uint64_t{kRingRows});
  }
  EXPECT_GT(missed.evicted_attention, 0.0);
  EXPECT_LT(recalled.evicted_attention, missed.evicted_attention / 2);
  EXPECT_GE(recalled.ring_rows_attended, 1U);
}

TEST(QualitySignal, IsTheMeanOverTheRanksOfTheirHeads) {
  ShardOptions options = ToyOptions();
  options.quality_every = 1;
  ToyGroup one(OneLayer(), 1, options);
  Prefill(one.rank(0));
  const double whole = LastStep(one.rank(0), 3, 40).evicted_attention;
  ToyGroup group(OneLayer(), 4, options);
  std::vector<double> parts(4);
  group.OnEach([&](ToyRank& rank, int index) {
    Prefill(rank);
    parts[index] = LastStep(rank, 3, 40).evicted_attention;
  });
  EXPECT_NEAR((parts[0] + parts[1] + parts[2] + parts[3]) / 4, whole, 1e-9);
}

TEST(QualitySignal, NothingIsEvictedWhereTheWholeBandIsInTheRing) {
  ShardOptions options = ToyOptions();
  options.quality_every = 1;
  SequenceOptions whole = ToyPolicy();
  whole.recall_pages = 7;  // a band of 0.4 * 300 rows
  ToyGroup group(OneLayer(), 1, options);
  ToyRank& rank = group.rank(0);
  Prefill(rank, whole);
  const ShardStats stats = LastStep(rank, 2, 40);
  EXPECT_EQ(stats.ring_rows_sampled, 7U * 16);
  EXPECT_EQ(stats.evicted_attention, 0.0);
}

TEST(QualitySignal, IsTakenOfEverySoManyStepsOrNever) {
  for (const int every : {0, 4}) {
    ShardOptions options = ToyOptions();
    options.quality_every = every;
    ToyGroup group(OneLayer(), 1, options);
    Prefill(group.rank(0));
    for (int step = 0; step < 12; ++step) ASSERT_PB_OK(group.rank(0).Step({kSequence}, 1));
    const std::uint64_t expected = every == 0 ? 0 : 3;
    EXPECT_EQ(group.rank(0).shard().stats().quality_samples, expected);
  }
}

}  // namespace
}  // namespace pinboard::testing
