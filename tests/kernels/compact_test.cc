// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/compact/compact.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/kernels/checks/compact_checks.h"
#include "tests/kernels/under_test/under_test.h"

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
    ExpectCompacts(under_test::Compact, cache, sources, random.Int(0, room));
    if (HasFatalFailure()) return;
  }
}

TEST_P(CompactTest, MovesRowsRightThatLieInsideANewRingAndLeftThatLieBehindIt) {
  SeededRandom random;
  PagedCache cache(GetParam(), 64, random);
  ExpectCompacts(under_test::Compact, cache, {0, 1, 2, 3, 20, 21, 40, 63}, 16);
}

TEST_P(CompactTest, CopiesRowsOfTheHeadToWhereverTheyBelong) {
  SeededRandom random;
  for (int trial = 0; trial < 30; ++trial) {
    const int head = 16 * random.Int(1, 3);
    const int behind = random.Int(1, 150);
    PagedCache cache(GetParam(), head + behind, random);
    std::vector<std::int32_t> from_head =
        checks::RandomRows(random, head, random.Uniform(0.0, 1.0));
    std::shuffle(from_head.begin(), from_head.end(), random.engine());
    std::vector<std::int32_t> kept = checks::RandomRows(random, behind, random.Uniform(0.0, 1.0));
    for (auto& row : kept) row += head;
    const int room = behind - static_cast<int>(kept.size());
    from_head.resize(std::min(static_cast<int>(from_head.size()), room));
    const auto before = cache.Row(head - 1);
    ExpectCompacts(under_test::Compact, cache, checks::Interleaved(random, kept, from_head), head,
                   head);
    if (HasFatalFailure()) return;
    EXPECT_EQ(cache.Row(head - 1), before) << "the head keeps its rows";
  }
}

TEST_P(CompactTest, LeavesBlocksAloneThatTheDestinationReplaces) {
  SeededRandom random;
  for (int trial = 0; trial < 30; ++trial) {
    const int head = GetParam().block_size * random.Int(0, 2);
    const int behind = random.Int(1, 150);
    PagedCache cache(GetParam(), head + behind, random);
    std::vector<std::int32_t> from_head =
        checks::RandomRows(random, head, random.Uniform(0.0, 1.0));
    std::vector<std::int32_t> kept = checks::RandomRows(random, behind, random.Uniform(0.0, 1.0));
    for (auto& row : kept) row += head;
    const int room = behind - static_cast<int>(kept.size());
    from_head.resize(std::min(static_cast<int>(from_head.size()), room));
    const int first_row = head + random.Int(0, room - static_cast<int>(from_head.size()));
    checks::ExpectCompactsOutOfShared(under_test::Compact, cache, random,
                                      checks::Interleaved(random, kept, from_head), first_row, head,
                                      random.Pick(std::vector<double>{0.0, 0.3, 0.7, 1.0}));
    if (HasFatalFailure()) return;
  }
}

TEST_P(CompactTest, MovesRowsApartAroundOneThatCameFromTheHead) {
  SeededRandom random;
  PagedCache cache(GetParam(), 32, random);
  // 17 and 18 go right to make place for 3 and 9, then 25 and 26 go left.
  ExpectCompacts(under_test::Compact, cache, {16, 3, 9, 17, 18, 25, 26}, 16, 16);
}

TEST_P(CompactTest, ShiftsALongRunByOneRowSoThatEachTargetIsTheNextSource) {
  SeededRandom random;
  constexpr int kRows = 1000;
  std::vector<std::int32_t> run(kRows);
  PagedCache right(GetParam(), kRows + 1, random);
  std::iota(run.begin(), run.end(), 0);
  ExpectCompacts(under_test::Compact, right, run, 1);
  PagedCache left(GetParam(), kRows + 1, random);
  std::iota(run.begin(), run.end(), 1);
  ExpectCompacts(under_test::Compact, left, run, 0);
}

TEST_P(CompactTest, LeavesRowsInPlaceThatAreThereAlready) {
  SeededRandom random;
  PagedCache cache(GetParam(), 40, random);
  const auto before = cache.bytes();
  ExpectCompacts(under_test::Compact, cache, {7, 8, 9}, 7);
  EXPECT_EQ(cache.bytes(), before);
}

TEST_P(CompactTest, TouchesNothingOutsideTheTargets) {
  SeededRandom random;
  PagedCache cache(GetParam(), 100, random);
  std::vector<std::vector<std::byte>> outside;
  for (int row = 0; row < 100; ++row) outside.push_back(cache.Row(row));
  ExpectCompacts(under_test::Compact, cache, {50, 60, 70}, 16);
  for (int row = 0; row < 100; ++row) {
    const bool is_target = row >= 16 && row < 19;
    EXPECT_TRUE(is_target || cache.Row(row) == outside[row]) << row;
  }
}

TEST(CompactTest, AcceptsNoRowsAtAll) { EXPECT_TRUE(under_test::Compact({}).ok()); }

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
  const auto refuses_head = [&](const std::vector<std::int32_t>& sources, int head_rows) {
    return Compact({cache.view(), cache.shape(), cache.block_size(), cache.block_table(), sources,
                    8, head_rows})
               .code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refuses_head({9, 3, 2, 10}, 8));
  EXPECT_TRUE(refuses_head({9, 3, 3, 10}, 8));
  EXPECT_TRUE(refuses_head({10, 3, 9}, 8));
  EXPECT_TRUE(refuses_head({9, 10}, 9));
  EXPECT_TRUE(refuses_head({9, 10}, -1));
  std::vector<std::int32_t> elsewhere = cache.block_table();
  elsewhere[0] = cache.unused_blocks()[0];
  const auto compacts_into = [&](int head_rows) {
    return Compact({cache.view(),
                    cache.shape(),
                    cache.block_size(),
                    cache.block_table(),
                    {{9, 10}},
                    8,
                    head_rows,
                    elsewhere});
  };
  EXPECT_TRUE(compacts_into(0).ok());
  EXPECT_EQ(compacts_into(8).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard::kernels
