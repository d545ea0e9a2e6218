// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "pinboard/kv_layout.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace pinboard {
namespace {

TEST(KvLayout, RowsTakeWholeBlocks) {
  EXPECT_EQ(BlocksFor(0, 16), 0);
  EXPECT_EQ(BlocksFor(1, 16), 1);
  EXPECT_EQ(BlocksFor(16, 16), 1);
  EXPECT_EQ(BlocksFor(17, 16), 2);
  EXPECT_EQ(BlocksFor(5, 1), 5);
}

TEST(KvLayout, BlocksOfAsManyRowsAsThereCanBeDoNotOverflow) {
  EXPECT_EQ(BlocksFor(std::numeric_limits<int>::max(), 64), 1 << 25);
  EXPECT_EQ(BlocksFor(std::numeric_limits<std::int64_t>::max(), 64), std::int64_t{1} << 57);
}

}  // namespace
}  // namespace pinboard
