// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/server/parked_fetches.h"

#include <gtest/gtest.h>

#include "tests/cache_service/test_pages.h"

namespace pinboard::cache_service {
namespace {

const absl::Time kStart = absl::UnixEpoch();

ParkedFetch Waiting(std::uint32_t peer, const PageRef& page, int expires_ms) {
  return {transport::PeerId(peer), 1, 0, page, kStart + absl::Milliseconds(expires_ms)};
}

TEST(ParkedFetchesTest, AreTakenByThePageOfTheirGroup) {
  ParkedFetches parked;
  parked.Add(GroupId(1), Waiting(1, TestPage(1, 1), 10));
  parked.Add(GroupId(1), Waiting(2, TestPage(1, 2), 20));
  parked.Add(GroupId(2), Waiting(3, TestPage(1, 1), 30));
  EXPECT_TRUE(parked.Take(GroupId(1), TestPage(2).key).empty());
  EXPECT_EQ(parked.Take(GroupId(1), TestPage(1).key).size(), 2);
  EXPECT_TRUE(parked.Take(GroupId(1), TestPage(1).key).empty());
  EXPECT_EQ(parked.size(), 1);
}

TEST(ParkedFetchesTest, ExpireInTime) {
  ParkedFetches parked;
  EXPECT_EQ(parked.next_expiry(), absl::InfiniteFuture());
  parked.Add(GroupId(1), Waiting(1, TestPage(1), 20));
  parked.Add(GroupId(1), Waiting(1, TestPage(1), 10));
  EXPECT_EQ(parked.next_expiry(), kStart + absl::Milliseconds(10));
  EXPECT_TRUE(parked.TakeExpired(kStart + absl::Milliseconds(9)).empty());
  EXPECT_EQ(parked.TakeExpired(kStart + absl::Milliseconds(10)).size(), 1);
  EXPECT_EQ(parked.next_expiry(), kStart + absl::Milliseconds(20));
  EXPECT_EQ(parked.TakeExpired(kStart + absl::Seconds(1)).size(), 1);
  EXPECT_EQ(parked.next_expiry(), absl::InfiniteFuture());
}

TEST(ParkedFetchesTest, LeaveWithTheirPeer) {
  ParkedFetches parked;
  parked.Add(GroupId(1), Waiting(1, TestPage(1), 10));
  parked.Add(GroupId(1), Waiting(2, TestPage(1), 10));
  parked.RemovePeer(transport::PeerId(1));
  const auto left = parked.Take(GroupId(1), TestPage(1).key);
  ASSERT_EQ(left.size(), 1);
  EXPECT_EQ(left[0].peer, transport::PeerId(2));
}

}  // namespace
}  // namespace pinboard::cache_service
