// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/query_window.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace pinboard {
namespace {

absl::Status Append(QueryWindow* window, const std::vector<float>& queries, int first_position) {
  const int width = window->width();
  const auto room =
      window->Extend(static_cast<std::int64_t>(queries.size()) / width, first_position);
  if (room.ok()) std::copy(queries.end() - room->size(), queries.end(), room->begin());
  return room.status();
}

TEST(QueryWindow, KeepsTheMostRecentQueriesInOrder) {
  QueryWindow window(HostMemory(), 4, 2);
  for (int position = 0; position < 23; ++position) {
    ASSERT_TRUE(
        Append(&window, {static_cast<float>(position), -static_cast<float>(position)}, position)
            .ok());
    const auto positions = window.LastPositions(4);
    ASSERT_EQ(positions.size(), static_cast<std::size_t>(std::min(position + 1, 4)));
    EXPECT_EQ(positions.back(), position);
    EXPECT_EQ(window.Last(4).back(), -static_cast<float>(position));
    EXPECT_EQ(window.Last(4).size(), positions.size() * 2);
  }
  EXPECT_EQ(window.LastPositions(2).front(), 21);
}

TEST(QueryWindow, TakesALongStepAtOnce) {
  QueryWindow window(HostMemory(), 3, 1);
  std::vector<float> queries(100);
  std::iota(queries.begin(), queries.end(), 0.0F);
  ASSERT_TRUE(Append(&window, queries, 1000).ok());
  EXPECT_EQ(window.LastPositions(3).front(), 1097);
  EXPECT_EQ(window.Last(3).front(), 97.0F);
}

TEST(QueryWindow, CopiedWithASmallerCapacityKeepsTheEnd) {
  QueryWindow window(HostMemory(), QueryWindow::kUnlimited, 1);
  for (int position = 0; position < 10; ++position) {
    ASSERT_TRUE(Append(&window, {static_cast<float>(position)}, position).ok());
  }
  QueryWindow last = window;
  ASSERT_TRUE(last.SetCapacity(2).ok());
  EXPECT_EQ(last.LastPositions(5).size(), 2U);
  EXPECT_EQ(last.Last(5).front(), 8.0F);
  EXPECT_EQ(window.Last(QueryWindow::kUnlimited).size(), 10U);
}

TEST(QueryWindow, ACopyAndItsOriginGoOnByThemselves) {
  QueryWindow window(HostMemory(), 8, 1);
  for (int position = 0; position < 4; ++position) {
    ASSERT_TRUE(Append(&window, {static_cast<float>(position)}, position).ok());
  }
  QueryWindow copy = window;
  copy.DropFrom(3);
  ASSERT_TRUE(Append(&copy, {-3.0F}, 3).ok());
  ASSERT_TRUE(Append(&window, {4.0F}, 4).ok());
  EXPECT_EQ(std::vector<float>(copy.Last(8).begin(), copy.Last(8).end()),
            (std::vector<float>{0.0F, 1.0F, 2.0F, -3.0F}));
  EXPECT_EQ(std::vector<float>(window.Last(8).begin(), window.Last(8).end()),
            (std::vector<float>{0.0F, 1.0F, 2.0F, 3.0F, 4.0F}));
}

}  // namespace
}  // namespace pinboard
