// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/select/select.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/checks/select_checks.h"

namespace pinboard::kernels {
namespace {

using checks::ExpectSelects;
using checks::NaiveSelect;
using checks::SelectInput;

constexpr RowClass kKept = RowClass::kKept;
constexpr RowClass kBand = RowClass::kBorderline;
constexpr RowClass kDropped = RowClass::kDropped;

TEST(SelectTest, KeepsTheProtectedThenTheHighestAndBandsTheNextAndThenByTheOtherScore) {
  //                            0  1  2  3  4  5  6
  const SelectInput in{/*keep*/ {1, 9, 8, 6, 4, 0, 1},
                       /*band*/ {9, 9, 9, 8, 7, 1, 5},
                       {1, 0, 0, 0, 0, 0, 0},
                       /*keep=*/3,
                       /*near=*/2,
                       /*far=*/1};
  ExpectSelects(Select, in, {kKept, kKept, kKept, kBand, kBand, kDropped, kBand});
}

TEST(SelectTest, TakesTheWholeBandByOneScoreWhereTheOtherHasNoShare) {
  const std::vector<std::int64_t> up = {1, 2, 3, 4};
  const std::vector<std::int64_t> down = {4, 3, 2, 1};
  const std::vector<std::uint8_t> none(4, 0);
  ExpectSelects(Select, {up, down, none, 0, 2, 0}, {kDropped, kDropped, kBand, kBand});
  ExpectSelects(Select, {up, down, none, 0, 0, 2}, {kBand, kBand, kDropped, kDropped});
}

TEST(SelectTest, GivesTiesToTheLowerIndexInEveryClass) {
  const std::vector<std::int64_t> same(6, 4);
  ExpectSelects(Select, {same, same, std::vector<std::uint8_t>(6, 0), 2, 1, 1},
                {kKept, kKept, kBand, kBand, kDropped, kDropped});
}

TEST(SelectTest, KeepsEveryProtectedRowEvenWhereTheyExceedKeep) {
  const std::vector<std::int64_t> score = {1, 2, 3};
  ExpectSelects(Select, {score, score, {1, 0, 1}, 1, 0, 0}, {kKept, kDropped, kKept});
  ExpectSelects(Select, {score, score, {1, 1, 1}, 0, 3, 3}, {kKept, kKept, kKept});
}

TEST(SelectTest, KeepsNothingForKeepZeroAndEverythingForKeepBeyondTheRows) {
  const std::vector<std::int64_t> score = {3, 1, 2};
  const std::vector<std::uint8_t> none(3, 0);
  ExpectSelects(Select, {score, score, none, 0, 0, 1}, {kBand, kDropped, kDropped});
  ExpectSelects(Select, {score, score, none, 9, 9, 9}, {kKept, kKept, kKept});
  ExpectSelects(Select, {{}, {}, {}, 4, 4, 4}, {});
  ExpectSelects(Select, {{5}, {5}, {0}, 1, 1, 1}, {kKept});
}

TEST(SelectTest, OrdersTheExtremesOfTheScoreType) {
  constexpr auto kLow = std::numeric_limits<std::int64_t>::min();
  constexpr auto kHigh = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::int64_t> score = {kLow, 0, kHigh};
  ExpectSelects(Select, {score, score, {0, 0, 0}, 1, 1, 0}, {kDropped, kBand, kKept});
}

TEST(SelectTest, EqualsASortOfEverythingOnRandomRows) {
  SeededRandom random;
  for (int trial = 0; trial < 400; ++trial) {
    const SelectInput in =
        checks::RandomSelectInput(random, random.Int(1, 200), random.Pick<int>({0, 1, 5, 100000}));
    ExpectSelects(Select, in, NaiveSelect(in));
    if (HasFatalFailure()) return;
  }
}

// sglang#36807: top-k was silently wrong on long rows.
TEST(SelectTest, SelectsAMillionTieHeavyRowsExactlySglang36807) {
  SeededRandom random;
  SelectInput in = checks::RandomSelectInput(random, 1 << 20, 3);
  in.keep = 400'000;
  in.near = 150'000;
  in.far = 100'000;
  ExpectSelects(Select, in, NaiveSelect(in));
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
    EXPECT_EQ(Select(args, out).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Select({score, score, none, 1, 1, 1}, out.first(1)).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace pinboard::kernels
