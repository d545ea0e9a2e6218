// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A round in which each KV head keeps rows of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/shard/toy_group.h"

namespace pinboard::testing {
namespace {

constexpr std::uint64_t kSequence = 7;

using HeadRows = std::vector<std::vector<int>>;  // [KV head of the model][row]: position

SequenceOptions HeadsPolicy() {
  SequenceOptions options = ToyPolicy("snapkv-heads");
  options.band = 0;
  options.recall_pages = 0;
  return options;
}

/// What the heads hold in layer 1 after a prompt and `rounds` rounds, 40 tokens between them.
HeadRows Compress(const ToyModel& model, int tp, int rounds) {
  HeadRows rows(model.mla ? 1 : model.kv_heads);
  ToyGroup group(model, tp, ToyOptions());
  group.OnEach([&](ToyRank& rank, int index) {
    ASSERT_PB_OK(rank.Add(kSequence, HeadsPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    for (int round = 0; round < rounds; ++round) {
      if (round > 0) ASSERT_PB_OK(rank.Step({kSequence}, 40));
      auto outcomes = rank.Compress({kSequence});
      ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
      ASSERT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
    }
    const ShardModel& shape = rank.shape();
    if (index % shape.kv_replicas != 0) return;
    for (int head = 0; head < shape.kv.kv_heads; ++head) {
      auto& held = rows[index / shape.kv_replicas * shape.kv.kv_heads + head];
      for (int row = 0; row < rank.shard().Rows(kSequence, 1); ++row) {
        held.push_back(rank.HeadPosition(kSequence, 1, head, row));
      }
    }
    if (index == 0) {
      const auto first = rank.shard().RowPositions(kSequence, 1);
      EXPECT_EQ(rows[0], std::vector<int>(first.begin(), first.end()));
    }
  });
  return rows;
}

TEST(HeadRound, KeepsInEachHeadTheSinksTheRecentRowsAndRowsOfItsOwn) {
  for (const int rounds : {1, 3}) {
    const int length = 300 + 40 * (rounds - 1);
    const HeadRows rows = Compress({}, 1, rounds);
    for (const auto& head : rows) {
      ASSERT_EQ(head.size(), length * 15U / 100U);
      EXPECT_TRUE(std::is_sorted(head.begin(), head.end()));
      EXPECT_EQ(std::adjacent_find(head.begin(), head.end()), head.end());
      for (int i = 0; i < 4; ++i) EXPECT_EQ(head[i], i);
      for (int i = 1; i <= 16; ++i) EXPECT_EQ(head[head.size() - i], length - i);
    }
    EXPECT_NE(rows[0], rows[1]);
  }
}

TEST(HeadRound, KeepsTheSameRowsForEveryGroupSize) {
  for (const bool mla : {false, true}) {
    ToyModel model;
    model.mla = mla;
    const HeadRows alone = Compress(model, 1, 2);
    EXPECT_EQ(Compress(model, 2, 2), alone);
    EXPECT_EQ(Compress(model, 8, 2), alone) << "KV heads are replicated at tp 8";
  }
}

TEST(HeadRound, WhereOneLatentServesAllHeadsIsSnapKv) {
  ToyModel model;
  model.mla = true;
  ToyGroup group(model, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  SequenceOptions snapkv = HeadsPolicy();
  snapkv.policy = "snapkv";
  for (const std::uint64_t sequence : {1, 2}) {
    ASSERT_PB_OK(rank.Add(sequence, sequence == 1 ? HeadsPolicy() : snapkv));
    ASSERT_PB_OK(rank.Step({sequence}, 300));
    ASSERT_TRUE(rank.Compress({sequence}).ok());
  }
  EXPECT_EQ(rank.shard().RowPositions(1, 0), rank.shard().RowPositions(2, 0));
  EXPECT_EQ(rank.FirstWrongRow(1), "");
}

TEST(HeadRound, IsRefusedWhereThereAreToBePages) {
  ToyGroup group({}, 1, ToyOptions());
  const Status status = group.rank(0).Add(kSequence, ToyPolicy("snapkv-heads"));
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("snapkv-heads keeps other rows in each KV head"),
            std::string::npos);
  ToyGroup without({}, 1, ToyOptions(), /*with_store=*/false);
  ASSERT_PB_OK(without.rank(0).Add(kSequence, ToyPolicy("snapkv-heads")));
}

TEST(HeadRound, LeavesRowsThatNoOtherPolicyGoesOnFrom) {
  ToyGroup group({}, 1, ToyOptions());
  ToyRank& rank = group.rank(0);
  ASSERT_PB_OK(rank.Add(1, HeadsPolicy()));
  ASSERT_PB_OK(rank.Step({1}, 300));
  ASSERT_PB_OK(rank.Fork(1, 2, ToyPolicy()));
  ASSERT_TRUE(rank.Compress({1}).ok());
  EXPECT_EQ(rank.Fork(1, 3, ToyPolicy()).code(), StatusCode::kFailedPrecondition);
  ASSERT_PB_OK(rank.Fork(1, 4, HeadsPolicy()));
  ASSERT_PB_OK(rank.Fork(1, 5, ToyPolicy("full")));  // makes no rounds
  EXPECT_EQ(rank.Fork(5, 6, ToyPolicy()).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(rank.Compress({2}).ok());
  EXPECT_EQ(rank.Fork(2, 7, HeadsPolicy()).code(), StatusCode::kFailedPrecondition) << "a ring";
}

}  // namespace
}  // namespace pinboard::testing
