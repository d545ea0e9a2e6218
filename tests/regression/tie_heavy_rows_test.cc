// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Unstable top-k: ranks picked different tokens where scores were equal (sglang#24654, #31115).
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "tests/shard/toy_group.h"
#include "tests/shard/troubled_communicator.h"

namespace pinboard::testing {
namespace {

constexpr std::uint64_t kSequence = 7;

class TieHeavyRows : public ::testing::TestWithParam<int> {};

TEST_P(TieHeavyRows, WhereEveryScoreIsTheSameEveryRankKeepsAndOffloadsTheFirstRows) {
  const Decorate decorate = [](int, std::unique_ptr<transport::Communicator> inner) {
    return std::make_unique<TroubledCommunicator>(
        std::move(inner), nullptr, [](int, absl::Span<std::int32_t> sum) {
          if (sum.size() > 40) std::fill(sum.begin(), sum.end(), 5);  // the merge, not the vote
        });
  };
  ToyGroup group({}, GetParam(), ToyOptions(), true, decorate);
  group.OnEach([&](ToyRank& rank, int) {
    ASSERT_PB_OK(rank.Add(kSequence, ToyPolicy()));
    ASSERT_PB_OK(rank.Step({kSequence}, 300));
    auto outcomes = rank.Compress({kSequence});
    ASSERT_TRUE(outcomes.ok()) << outcomes.status().message();
    ASSERT_TRUE(outcomes.value()[0].applied) << outcomes.value()[0].kept_all_because;
    // 15 % of 300: 4 sinks, 16 recent ones, and the 25 that come first; then 4 pages of the ring.
    std::vector<std::int32_t> expected(64 + 45);
    std::iota(expected.begin(), expected.begin() + 64, 29);
    std::iota(expected.begin() + 64, expected.begin() + 64 + 29, 0);
    std::iota(expected.begin() + 64 + 29, expected.end(), 300 - 16);
    for (int layer = 0; layer < rank.shape().layers; ++layer) {
      EXPECT_EQ(rank.shard().RowPositions(kSequence, layer), expected) << "layer " << layer;
    }
    EXPECT_EQ(rank.FirstWrongRow(kSequence), "");
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, TieHeavyRows, ::testing::Values(2, 4, 8));

}  // namespace
}  // namespace pinboard::testing
