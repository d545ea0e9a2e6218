// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/select/select.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/select/select_core.h"
#include "kernels/select/select_tuning.h"
#include "tests/kernels/checks/select_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

using checks::ExpectSelects;
using checks::NaiveSelect;
using checks::SelectInput;

constexpr RowClass kKept = RowClass::kKept;
constexpr RowClass kBand = RowClass::kBorderline;
constexpr RowClass kDropped = RowClass::kDropped;

TEST(ScoreBinTest, DescendsAsScoresAscendOverTheWholeRange) {
  constexpr auto kLow = std::numeric_limits<std::int64_t>::min();
  constexpr auto kHigh = std::numeric_limits<std::int64_t>::max();
  SeededRandom random;
  std::vector<std::int64_t> scores = {kLow, kLow + 1, -1, 0, 1, kHigh};
  for (int i = 0; i < 100000; ++i) {
    const auto bits = static_cast<std::int64_t>(random.engine()());
    scores.push_back(i < 1000 ? i - 500 : bits >> random.Int(0, 63));
  }
  std::sort(scores.begin(), scores.end());
  EXPECT_EQ(ScoreBin(kLow), kScoreBins - 1);
  EXPECT_GE(ScoreBin(kHigh), 0);
  for (std::size_t i = 1; i < scores.size(); ++i) {
    ASSERT_GE(ScoreBin(scores[i - 1]), ScoreBin(scores[i])) << scores[i - 1] << " " << scores[i];
    ASSERT_GE(DescendingKey(scores[i - 1]), DescendingKey(scores[i]));
  }
}

TEST(SelectRowsPerBlockTest, RunsAllBlocksAtOnceInWholeSteps) {
  constexpr int kStep = kSelectThreads * kSelectRowsAtOnce;
  EXPECT_EQ(SelectRowsPerBlock(1, 1, 132), kStep);
  EXPECT_EQ(SelectRowsPerBlock(std::int64_t{61} * 131'072, 61, 132), 6 * kStep);
  for (const int problems : {1, 7, 61, 132}) {
    constexpr std::int64_t kRows = 1 << 20;
    const int rows = SelectRowsPerBlock(problems * kRows, problems, 132);
    EXPECT_EQ(rows % kStep, 0);
    EXPECT_LE(problems * ((kRows + rows - 1) / rows), std::int64_t{kSelectBlocks} * 132)
        << problems;
  }
}

TEST(SelectTest, KeepsTheProtectedThenTheHighestAndBandsTheNextAndThenByTheOtherScore) {
  //                            0  1  2  3  4  5  6
  const SelectInput in{/*keep*/ {1, 9, 8, 6, 4, 0, 1},
                       /*band*/ {9, 9, 9, 8, 7, 1, 5},
                       {1, 0, 0, 0, 0, 0, 0},
                       /*keep=*/3,
                       /*near=*/2,
                       /*far=*/1};
  ExpectSelects(under_test::Select, in, {kKept, kKept, kKept, kBand, kBand, kDropped, kBand});
}

TEST(SelectTest, TakesTheWholeBandByOneScoreWhereTheOtherHasNoShare) {
  const std::vector<std::int64_t> up = {1, 2, 3, 4};
  const std::vector<std::int64_t> down = {4, 3, 2, 1};
  const std::vector<std::uint8_t> none(4, 0);
  ExpectSelects(under_test::Select, {up, down, none, 0, 2, 0}, {kDropped, kDropped, kBand, kBand});
  ExpectSelects(under_test::Select, {up, down, none, 0, 0, 2}, {kBand, kBand, kDropped, kDropped});
}

TEST(SelectTest, GivesTiesToTheLowerIndexInEveryClass) {
  const std::vector<std::int64_t> same(6, 4);
  ExpectSelects(under_test::Select, {same, same, std::vector<std::uint8_t>(6, 0), 2, 1, 1},
                {kKept, kKept, kBand, kBand, kDropped, kDropped});
}

TEST(SelectTest, KeepsEveryProtectedRowEvenWhereTheyExceedKeep) {
  const std::vector<std::int64_t> score = {1, 2, 3};
  ExpectSelects(under_test::Select, {score, score, {1, 0, 1}, 1, 0, 0}, {kKept, kDropped, kKept});
  ExpectSelects(under_test::Select, {score, score, {1, 1, 1}, 0, 3, 3}, {kKept, kKept, kKept});
}

TEST(SelectTest, KeepsNothingForKeepZeroAndEverythingForKeepBeyondTheRows) {
  const std::vector<std::int64_t> score = {3, 1, 2};
  const std::vector<std::uint8_t> none(3, 0);
  ExpectSelects(under_test::Select, {score, score, none, 0, 0, 1}, {kBand, kDropped, kDropped});
  ExpectSelects(under_test::Select, {score, score, none, 9, 9, 9}, {kKept, kKept, kKept});
  ExpectSelects(under_test::Select, {{}, {}, {}, 4, 4, 4}, {});
  ExpectSelects(under_test::Select, {{5}, {5}, {0}, 1, 1, 1}, {kKept});
}

TEST(SelectTest, OrdersTheExtremesOfTheScoreType) {
  constexpr auto kLow = std::numeric_limits<std::int64_t>::min();
  constexpr auto kHigh = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::int64_t> score = {kLow, 0, kHigh};
  ExpectSelects(under_test::Select, {score, score, {0, 0, 0}, 1, 1, 0}, {kDropped, kBand, kKept});
}

TEST(SelectTest, EqualsASortOfEverythingOnRandomRows) {
  SeededRandom random;
  for (int trial = 0; trial < 400; ++trial) {
    const SelectInput in =
        checks::RandomSelectInput(random, random.Int(1, 200), random.Pick<int>({0, 1, 5, 100000}));
    ExpectSelects(under_test::Select, in, NaiveSelect(in));
    if (HasFatalFailure()) return;
  }
}

TEST(SelectTest, RefusesSizesThatDisagreeAndNegativeCounts) {
  const std::vector<std::int64_t> score = {1, 2};
  const std::vector<std::uint8_t> none(2, 0);
  std::vector<RowClass> classes(2);
  const auto out = absl::MakeSpan(classes);
  for (const SelectArgs& args : {
           SelectArgs{score, {}, none, 1, 1, 1},
           SelectArgs{score, score, {}, 1, 1, 1},
           SelectArgs{score, score, none, -1, 1, 1},
           SelectArgs{score, score, none, 1, -1, 1},
           SelectArgs{score, score, none, 1, 1, -1},
       }) {
    EXPECT_EQ(under_test::Select(args, out).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(under_test::Select({score, score, none, 1, 1, 1}, out.first(1)).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard::kernels
