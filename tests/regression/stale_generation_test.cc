// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Stale generation: a page of a sequence that has ended was served to one of the same name.
#include "tests/regression/scripted_group.h"

namespace pinboard::testing {
namespace {

using StaleGeneration = ScriptedGroup;

TEST_P(StaleGeneration, AForkThatOutlivesItsOriginIsNotServedThePagesOfItsNamesake) {
  constexpr std::uint64_t kFork = 3;
  CheckedGroup group(Options(/*cache_blocks=*/48));
  group.Add(kFirst, Policy());
  group.Step({{kFirst, Text(300)}});
  Compress(group, kFirst);
  group.Fork(kFirst, kFork, Policy());
  group.Remove(kFirst);
  group.Add(kFirst, Policy("random"));  // other rows in pages of the same names
  group.Step({{kFirst, Text(300, 2000)}});
  Compress(group, kFirst);
  Decode(group, kFork, 30);
  EXPECT_GT(group.stats().misses, 0U);
  Decode(group, kFirst, 10);
}

INSTANTIATE_SCRIPTED_GROUP(StaleGeneration);

}  // namespace
}  // namespace pinboard::testing
