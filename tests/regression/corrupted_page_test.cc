// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Offloaded KV came back corrupt after days, with no checksum to see it (vllm-backport#33,
// vllm#54363).
#include "tests/regression/scripted_group.h"

namespace pinboard::testing {
namespace {

using CorruptedPage = ScriptedGroup;

TEST_P(CorruptedPage, IsAMissOnEveryRankAndNeverAttended) {
  CheckedGroup group(Options(/*cache_blocks=*/32));
  group.Add(kFirst, Policy());
  group.Step({{kFirst, Text(300)}});
  Compress(group, kFirst);
  for (std::uint32_t page = 0; page < 16; ++page) {
    for (std::uint16_t layer = 0; layer < group.layers(); ++layer) {
      group.pages().Corrupt({kFirst, page, layer, 0});  // of the first rank's shard alone
    }
  }
  Decode(group, kFirst, 30);
  EXPECT_GT(group.stats().misses, 0U);
  EXPECT_EQ(group.stats().pages_recalled, 0U);
  Compress(group, kFirst);  // new pages, whole ones
  Decode(group, kFirst, 30);
}

INSTANTIATE_SCRIPTED_GROUP(CorruptedPage);

}  // namespace
}  // namespace pinboard::testing
