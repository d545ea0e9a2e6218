// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Freed-block orphan (R-KV ports): the token in flight when a round frees blocks was written
// into a freed block, and overwritten by whoever got it next.
#include "tests/regression/scripted_group.h"

namespace pinboard::testing {
namespace {

using FreedBlockOrphan = ScriptedGroup;

TEST_P(FreedBlockOrphan, TokensInFlightDuringARoundOutliveTheBlocksItFrees) {
  CheckedGroup group(Options(/*cache_blocks=*/20));
  group.Add(kFirst, Policy());
  group.Step({{kFirst, Text(250)}});
  group.Begin({kFirst});
  Decode(group, kFirst, 9);  // over the edge of a block
  group.Commit();
  ASSERT_FALSE(HasFailure());
  const int freed = group.engine().free_blocks();
  ASSERT_GT(freed, 3);
  group.Add(kSecond, Policy());
  group.Step({{kSecond, Text(freed * 16, 1000)}});  // every block that is free
  Decode(group, kFirst, 3);
  group.Remove(kFirst);
  Decode(group, kSecond, 2);
}

TEST_P(FreedBlockOrphan, AStepOfBothSequencesRightAfterTheRoundWritesEachItsOwnRows) {
  CheckedGroup group(Options(/*cache_blocks=*/32));
  group.Add(kFirst, Policy("recency"));
  group.Add(kSecond, Policy("random"));
  group.Step({{kFirst, Text(180)}, {kSecond, Text(180, 500)}});
  for (int round = 0; round < 4 && !HasFailure(); ++round) {
    group.Begin({kSecond, kFirst});
    group.Step({{kFirst, Text(17)}, {kSecond, Text(1)}});
    group.Commit();
    group.Step({{kSecond, Text(17)}, {kFirst, Text(1)}});
  }
}

INSTANTIATE_SCRIPTED_GROUP(FreedBlockOrphan);

}  // namespace
}  // namespace pinboard::testing
