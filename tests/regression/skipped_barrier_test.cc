// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Skipped barrier: ranks that did not wait for each other compacted by plans of their own.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/shard/toy_group.h"
#include "tests/shard/troubled_communicator.h"

namespace pinboard::testing {
namespace {

constexpr std::uint64_t kSequence = 7;

TEST(SkippedBarrier, APlanThatDiffersOnOneRankIsAppliedByNone) {
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

TEST(SkippedBarrier, ARoundThatOneRankIsNotReadyForIsAppliedByNone) {
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

}  // namespace
}  // namespace pinboard::testing
