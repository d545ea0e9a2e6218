// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/digest_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace pinboard {
namespace {

constexpr KvShape kShape{.kv_heads = 1, .key_dim = 2, .value_dim = 2};

/// Joins `page`, marked by its step.
void Join(DigestTable& table, std::uint32_t page, float mark) {
  const auto free = table.Free(1);
  ASSERT_TRUE(free.ok()) << free.status();
  free->arrays.step[free->slots[0]] = mark;
  table.Add(page, free->slots[0]);
}

float Mark(const DigestTable& table, std::uint32_t page) {
  return table.view().step[table.Slots({page}).front()];
}

TEST(DigestTable, PagesKeepTheirDigestsWhileOthersComeAndGo) {
  DigestTable table(HostMemory(), kShape);
  Join(table, 1, 1.0F);
  Join(table, 2, 2.0F);
  table.Remove(1);
  Join(table, 3, 3.0F);
  Join(table, 4, 4.0F);
  EXPECT_EQ(table.size(), 3U);
  EXPECT_EQ(Mark(table, 2), 2.0F);
  EXPECT_EQ(Mark(table, 3), 3.0F);
  EXPECT_EQ(Mark(table, 4), 4.0F);
  EXPECT_EQ(table.view().step.size(), 3U) << "the slot of page 1 was to be used again";
}

TEST(DigestTable, SlotsThatNoPageTookAreFreeStill) {
  DigestTable table(HostMemory(), kShape);
  Join(table, 1, 1.0F);
  const auto unused = table.Free(3);
  ASSERT_TRUE(unused.ok());
  EXPECT_EQ(unused->slots.size(), 3U);
  Join(table, 2, 2.0F);
  Join(table, 3, 3.0F);
  EXPECT_EQ(table.view().step.size(), 4U);
  EXPECT_EQ(Mark(table, 1), 1.0F);
}

TEST(DigestTable, HasRoomForMorePagesThanItsFirstRoundBrought) {
  DigestTable table(HostMemory(), kShape);
  const auto first = table.Free(100);
  ASSERT_TRUE(first.ok());
  const auto more = table.Free(132);
  ASSERT_TRUE(more.ok());
  EXPECT_EQ(more->arrays.centres.data(), first->arrays.centres.data());
  EXPECT_EQ(more->arrays.counts.data(), first->arrays.counts.data());
  EXPECT_EQ(more->arrays.step.data(), first->arrays.step.data());
  EXPECT_EQ(more->arrays.step.size(), 132U * kShape.kv_heads);
}

TEST(DigestTable, ACopyDoesNotSeeWhatItsOriginWrites) {
  DigestTable table(HostMemory(), kShape);
  Join(table, 1, 1.0F);
  table.Remove(1);
  DigestTable copy = table;
  Join(copy, 7, 7.0F);
  Join(table, 8, 8.0F);
  EXPECT_EQ(Mark(copy, 7), 7.0F);
  EXPECT_EQ(Mark(table, 8), 8.0F);
}

}  // namespace
}  // namespace pinboard
