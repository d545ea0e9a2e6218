// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A service that restarts between a publication and the fetch of it (nixl#1983, #1986: a segfault,
// and an agent that never recovers).
#include "tests/regression/scripted_group.h"

namespace pinboard::testing {
namespace {

using ServiceRestartedBetweenPublishAndFetch = ScriptedGroup;

TEST_P(ServiceRestartedBetweenPublishAndFetch, ItsPagesAreMissesAndLaterOnesComeBack) {
  CheckedGroup group(Options(/*cache_blocks=*/32));
  group.Add(kFirst, Policy());
  group.Step({{kFirst, Text(300)}});
  Compress(group, kFirst);
  const auto published = static_cast<std::uint64_t>(group.pages().pages());
  group.pages().SetGone(true);
  group.pages().SetGone(false);
  Decode(group, kFirst, 30);
  EXPECT_GT(group.stats().misses, 0U);
  EXPECT_LE(group.stats().misses, published) << "a page that was missed is not asked for again";
  EXPECT_EQ(group.stats().pages_recalled, 0U);
  for (int round = 0; round < 3 && !HasFailure(); ++round) {
    Compress(group, kFirst);
    Decode(group, kFirst, 40);
  }
  EXPECT_GT(group.stats().pages_recalled, 0U);
}

TEST_P(ServiceRestartedBetweenPublishAndFetch, LeasesOfItsEarlierLifePublishNothing) {
  CheckedGroup group(Options(/*cache_blocks=*/32));
  group.Add(kFirst, Policy());
  group.Step({{kFirst, Text(300)}});
  group.Begin({kFirst});  // leases
  group.pages().SetGone(true);
  group.pages().SetGone(false);
  group.Commit();
  Decode(group, kFirst, 30);
  group.Remove(kFirst);
  EXPECT_EQ(group.pages().leases(), 0);
}

INSTANTIATE_SCRIPTED_GROUP(ServiceRestartedBetweenPublishAndFetch);

}  // namespace
}  // namespace pinboard::testing
