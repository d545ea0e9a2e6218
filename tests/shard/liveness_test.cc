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
    EXPECT_EQ(rank.shard().Rows(kSequence), 300);
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
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
