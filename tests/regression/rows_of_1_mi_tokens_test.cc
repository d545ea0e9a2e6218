// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Top-k that was silently wrong on long rows (sglang#36807); with many ties, and on the GPU, in
// kernels/select_test.
#include <gtest/gtest.h>

#include "kernels/select/select.h"
#include "tests/kernels/checks/select_checks.h"

namespace pinboard::kernels {
namespace {

TEST(RowsOf1MiTokens, AreSelectedExactlyWhereHardlyAnyScoreComesTwice) {
  SeededRandom random;
  checks::SelectInput in = checks::RandomSelectInput(random, 1 << 20, 1 << 30);
  in.keep = 104'858;
  in.near = 300'000;
  in.far = 20'000;
  checks::ExpectSelects(Select, in, checks::NaiveSelect(in));
}

}  // namespace
}  // namespace pinboard::kernels
