// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Preemption of a compacted sequence corrupted it: rows and positions had parted company, and only
// one of them was saved.
#include "tests/regression/scripted_group.h"

namespace pinboard::testing {
namespace {

using PreemptionOfACompactedSequence = ScriptedGroup;

TEST_P(PreemptionOfACompactedSequence, ItComesBackIntoOtherBlocksAsItLeft) {
  CheckedGroup group(Options(/*cache_blocks=*/24));
  group.Add(kFirst, Policy());
  group.Step({{kFirst, Text(250)}});
  Compress(group, kFirst);
  Decode(group, kFirst, 6);  // recalls
  for (int time = 0; time < 3 && !HasFailure(); ++time) {
    group.SwapOut(kFirst);
    group.Add(kSecond, Policy("full"));
    group.Step({{kSecond, Text(24 * 16, 700)}});  // the whole cache
    group.ExpectRefused(absl::StatusCode::kResourceExhausted,
                        [](engine::Engine& engine) { return engine.SwapIn(kFirst); });
    group.Remove(kSecond);
    group.Add(kSecond, Policy());
    group.Step({{kSecond, Text(20)}});  // holds blocks that were the first's
    group.SwapIn(kFirst);
    Decode(group, kFirst, 25);
    Compress(group, kFirst);
    Decode(group, kFirst, 3);
    group.Remove(kSecond);
  }
  EXPECT_GT(group.stats().pages_recalled, 0U);
}

INSTANTIATE_SCRIPTED_GROUP(PreemptionOfACompactedSequence);

}  // namespace
}  // namespace pinboard::testing
