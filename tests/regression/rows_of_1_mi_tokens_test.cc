// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Top-k that was silently wrong on long rows (sglang#36807). One source for both devices.
#include <gtest/gtest.h>

#include "tests/kernels/checks/select_checks.h"
#include "tests/kernels/under_test/under_test.h"

namespace pinboard::kernels {
namespace {

void ExpectSelectsExactly(int distinct_scores) {
  SeededRandom random;
  checks::SelectInput in = checks::RandomSelectInput(random, 1 << 20, distinct_scores);
  in.keep = 104'858;
  in.near = 300'000;
  in.far = 20'000;
  checks::ExpectSelects(under_test::Select, in, checks::NaiveSelect(in));
}

TEST(RowsOf1MiTokens, AreSelectedExactlyWhereHardlyAnyScoreComesTwice) {
  ExpectSelectsExactly(1 << 30);
}

TEST(RowsOf1MiTokens, AreSelectedExactlyWhereTiesAreEverywhere) { ExpectSelectsExactly(3); }

}  // namespace
}  // namespace pinboard::kernels
