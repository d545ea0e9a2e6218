// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/compact/compact.h"

#include <gtest/gtest.h>

#include "tests/kernels/checks/compact_checks.h"

namespace pinboard::kernels {
namespace {

using checks::ExpectCompacts;

class CompactTest : public testing::TestWithParam<CacheCase> {};

INSTANTIATE_TEST_SUITE_P(Shapes, CompactTest, testing::ValuesIn(AllCacheCases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(CompactTest, EqualsACopyBesideTheCacheForRandomRowsAndRings) {
  SeededRandom random;
  for (int trial = 0; trial < 30; ++trial) {
    const int rows = random.Int(1, 200);
    PagedCache cache(GetParam(), rows, random);
    const auto sources = checks::RandomRows(random, rows, random.Uniform(0.05, 1.0));
    const int room = rows - static_cast<int>(sources.size());
    ExpectCompacts(Compact, cache, sources, random.Int(0, room));
    if (HasFatalFailure()) return;
  }
}

TEST_P(CompactTest, MovesRowsRightThatLieInsideANewRingAndLeftThatLieBehindIt) {
  SeededRandom random;
  PagedCache cache(GetParam(), 64, random);
  ExpectCompacts(Compact, cache, {0, 1, 2, 3, 20, 21, 40, 63}, 16);
}

TEST_P(CompactTest, LeavesRowsInPlaceThatAreThereAlready) {
  SeededRandom random;
  PagedCache cache(GetParam(), 40, random);
  const auto before = cache.bytes();
  ExpectCompacts(Compact, cache, {7, 8, 9}, 7);
  EXPECT_EQ(cache.bytes(), before);
}

TEST_P(CompactTest, TouchesNothingOutsideTheTargets) {
  SeededRandom random;
  PagedCache cache(GetParam(), 100, random);
  std::vector<std::vector<std::byte>> outside;
  for (int row = 0; row < 100; ++row) outside.push_back(cache.Row(row));
  ExpectCompacts(Compact, cache, {50, 60, 70}, 16);
  for (int row = 0; row < 100; ++row) {
    const bool is_target = row >= 16 && row < 19;
    EXPECT_TRUE(is_target || cache.Row(row) == outside[row]) << row;
  }
}

TEST(CompactTest, AcceptsNoRowsAtAll) { EXPECT_TRUE(Compact({}).ok()); }

TEST(CompactTest, RefusesRowsThatDoNotAscendOrLieOutsideTheBlockTable) {
  SeededRandom random;
  PagedCache cache(AllCacheCases().front(), 32, random);
  const auto refuses = [&](const std::vector<std::int32_t>& sources, int first_row) {
    return Compact({cache.view(), cache.shape(), cache.block_size(), cache.block_table(), sources,
                    first_row})
               .code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refuses({3, 3}, 0));
  EXPECT_TRUE(refuses({4, 3}, 0));
  EXPECT_TRUE(refuses({-1, 3}, 0));
  EXPECT_TRUE(refuses({1, 32}, 0));
  EXPECT_TRUE(refuses({1, 2}, 31));
  EXPECT_TRUE(refuses({1, 2}, -1));
}

}  // namespace
}  // namespace pinboard::kernels
