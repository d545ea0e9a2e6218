// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Offset overstated by lookahead: tokens appended while a round is under way were counted twice, so
// that later tokens were rotated and written for places ahead of their own.
#include "tests/regression/scripted_group.h"

namespace pinboard::testing {
namespace {

using OffsetOverstatedByLookahead = ScriptedGroup;

TEST_P(OffsetOverstatedByLookahead, TokensAppendedSinceBeginMoveAlongAndCountOnce) {
  CheckedGroup group(Options(/*cache_blocks=*/32));
  group.Add(kFirst, Policy());
  group.Step({{kFirst, Text(240)}});
  group.Begin({kFirst});
  group.Step({{kFirst, Text(5, 240)}});
  group.Step({{kFirst, Text(1, 245)}});
  const auto outcomes = group.Commit();
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(outcomes[0].rows[0], 4 * 16 + 24 + 6)
      << "ring, 10 % of what there was at Begin, appended";
  Decode(group, kFirst, 1);
  for (int layer = 0; layer < group.layers(); ++layer) {
    const auto& rows = group.Positions(kFirst, layer);
    for (int back = 0; back < 7; ++back) EXPECT_EQ(rows[rows.size() - 1 - back], 246 - back);
  }
  EXPECT_EQ(group.engine().Length(kFirst), 247);
}

INSTANTIATE_SCRIPTED_GROUP(OffsetOverstatedByLookahead);

}  // namespace
}  // namespace pinboard::testing
