// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the tests of recall have in common: a compressed sequence, and positions that come back when
// a query looks for them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/shard/toy_group.h"

namespace pinboard::testing {

inline constexpr std::uint64_t kSequence = 7;

inline SequenceOptions Recalling(const std::string& when, int ahead = -1) {
  SequenceOptions options = ToyPolicy();
  options.recall_when = when;
  options.recall_ahead = ahead;
  return options;
}

/// 300 tokens, then a round.
inline void Prefill(ToyRank& rank, const SequenceOptions& options = ToyPolicy()) {
  ASSERT_PB_OK(rank.Add(kSequence, options));
  ASSERT_PB_OK(rank.Step({kSequence}, 300));
  auto outcomes = rank.Compress({kSequence});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
  ASSERT_TRUE(outcomes.value()[0].applied);
}

inline bool Attends(ToyRank& rank, std::uint64_t sequence, int layer, int position) {
  const auto rows = rank.shard().RowPositions(sequence, layer);
  return std::find(rows.begin(), rows.end(), position) != rows.end();
}

/// A position per layer that is offloaded and not in the ring, `steps` steps after Prefill: found
/// by asking for each in turn on a group of its own, so that the choice depends on no internals.
inline std::vector<int> FindRecallable(const ToyModel& model,
                                       const SequenceOptions& options = ToyPolicy(),
                                       int steps = 0) {
  ToyGroup group(model, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  Prefill(rank, options);
  for (int step = 0; step < steps; ++step) EXPECT_TRUE(rank.Step({kSequence}, 1).ok());
  std::vector<int> found(model.layers, -1);
  for (int position = 4; position < 280; ++position) {
    std::vector<int> away;
    for (int layer = 0; layer < model.layers; ++layer) {
      if (found[layer] < 0 && !Attends(rank, kSequence, layer, position)) away.push_back(layer);
    }
    if (away.empty()) continue;
    const std::uint64_t fork = 100U + position;
    EXPECT_TRUE(rank.Fork(kSequence, fork, options).ok());
    for (int step = 0; step < 2; ++step) EXPECT_TRUE(rank.Step({fork}, 1, position).ok());
    for (const int layer : away) {
      if (Attends(rank, fork, layer, position)) found[layer] = position;
    }
    EXPECT_TRUE(rank.Remove(fork).ok());
  }
  for (const int position : found) EXPECT_GE(position, 0) << "no offloaded position comes back";
  return found;
}

/// Of two ranks the second finds none of its pages: neither shows the row that `steps` steps look
/// for.
inline void ExpectMissedByAll(const SequenceOptions& options, int steps) {
  const int wanted = FindRecallable({})[0];
  ToyGroup group({}, 2, ToyOptions());
  group.OnEach([&](ToyRank& rank, int) { Prefill(rank, options); });
  for (std::uint32_t page = 0; page < 16; ++page) {
    for (std::uint16_t layer = 0; layer < 3; ++layer) {
      group.pages().Lose({kSequence, page, layer, /*shard=*/1});
    }
  }
  std::vector<ShardStats> stats(2);
  group.OnEach([&](ToyRank& rank, int index) {
    for (int step = 0; step < steps; ++step) ASSERT_PB_OK(rank.Step({kSequence}, 1, wanted));
    EXPECT_FALSE(Attends(rank, kSequence, 0, wanted));
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
    stats[index] = rank.shard().stats();
  });
  EXPECT_GT(stats[0].misses, 0U);
  EXPECT_EQ(stats[0].misses, stats[1].misses);
  EXPECT_EQ(stats[0].pages_recalled, 0U);
  EXPECT_EQ(stats[0].fetches_absent, 0U) << "its own pages came";
  EXPECT_GT(stats[1].fetches_absent, 0U);
}

}  // namespace pinboard::testing
