// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/group_holds.h"

#include <gtest/gtest.h>

#include "tests/cache_service/test_pages.h"
#include "tests/support/fake_clock.h"

namespace pinboard::cache_service {
namespace {

constexpr GroupId kGroup(1);
constexpr GroupId kOther(2);

class GroupHoldsTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  Inventory inventory_{Arena({1 << 20}, kTestPageBytes), LowestInformation(), Watermarks{1, 1},
                       clock_};
  GroupHolds holds_{inventory_, absl::Seconds(10), absl::Seconds(60)};
  const absl::Time start_ = absl::UnixEpoch();
};

TEST_F(GroupHoldsTest, AGroupIsKeptWhileAMemberSaysThatItHasClientsOfIt) {
  EXPECT_FALSE(inventory_.KeepsGroup(kGroup));
  holds_.Announce(1, {kGroup}, start_);
  holds_.Announce(1, {kGroup}, start_ + absl::Hours(1));
  holds_.Expire(start_ + absl::Hours(2));
  EXPECT_TRUE(inventory_.KeepsGroup(kGroup));
  EXPECT_FALSE(inventory_.KeepsGroup(kOther));
}

TEST_F(GroupHoldsTest, AndEndsAGraceAfterItSaysSoNoMore) {
  holds_.Announce(1, {kGroup, kOther}, start_);
  holds_.Announce(1, {kOther}, start_);
  EXPECT_EQ(holds_.next_expiry(), start_ + absl::Seconds(10));
  holds_.Expire(start_ + absl::Seconds(9));
  EXPECT_TRUE(inventory_.KeepsGroup(kGroup));
  holds_.Announce(1, {kOther}, start_ + absl::Seconds(9));  // again: the grace does not begin anew
  holds_.Expire(start_ + absl::Seconds(10));
  EXPECT_FALSE(inventory_.KeepsGroup(kGroup));
  EXPECT_TRUE(inventory_.KeepsGroup(kOther));
}

TEST_F(GroupHoldsTest, TheOrphansOfALostMemberAreKeptForAWhile) {
  holds_.Announce(1, {kGroup}, start_);
  holds_.PeerLost(1, start_);
  holds_.PeerLost(1, start_ + absl::Seconds(30));  // it was tried again
  holds_.Expire(start_ + absl::Seconds(59));
  EXPECT_TRUE(inventory_.KeepsGroup(kGroup));
  holds_.Expire(start_ + absl::Seconds(60));
  EXPECT_FALSE(inventory_.KeepsGroup(kGroup));
  EXPECT_EQ(holds_.next_expiry(), absl::InfiniteFuture());
}

TEST_F(GroupHoldsTest, WhatIsAnnouncedAgainInTimeStays) {
  holds_.Announce(1, {kGroup}, start_);
  holds_.PeerLost(1, start_);
  holds_.Announce(1, {kGroup}, start_ + absl::Seconds(5));
  holds_.Expire(start_ + absl::Hours(1));
  EXPECT_TRUE(inventory_.KeepsGroup(kGroup));
}

TEST_F(GroupHoldsTest, EachMemberHoldsForItself) {
  holds_.Announce(1, {kGroup}, start_);
  holds_.Announce(2, {kGroup}, start_);
  holds_.PeerLost(1, start_);
  holds_.Expire(start_ + absl::Hours(1));
  EXPECT_TRUE(inventory_.KeepsGroup(kGroup));
  holds_.Announce(2, {}, start_);
  holds_.Expire(start_ + absl::Hours(1));
  EXPECT_FALSE(inventory_.KeepsGroup(kGroup));
}

TEST_F(GroupHoldsTest, AnOfferHoldsAGroupThatNobodySpokeOfUntilSomebodyMay) {
  holds_.Offered(kGroup, start_);
  holds_.Offered(kGroup, start_ + absl::Seconds(30));
  EXPECT_TRUE(inventory_.KeepsGroup(kGroup));
  holds_.Announce(1, {}, start_);  // nobody's word ends it
  holds_.Expire(start_ + absl::Seconds(59));
  EXPECT_TRUE(inventory_.KeepsGroup(kGroup));
  holds_.Announce(1, {kGroup}, start_ + absl::Seconds(59));
  holds_.Offered(kGroup, start_ + absl::Seconds(59));
  holds_.Announce(1, {}, start_ + absl::Seconds(59));
  holds_.Expire(start_ + absl::Seconds(69));
  EXPECT_FALSE(inventory_.KeepsGroup(kGroup)) << "where somebody speaks of it, offers do not count";
}

TEST_F(GroupHoldsTest, ItsPagesLeaveWithTheLastHold) {
  constexpr ClientId kSelf(1);
  inventory_.AddClient(kSelf, GroupId(99));
  holds_.Announce(1, {kGroup}, start_);
  const SlabId slab = (*inventory_.Lease(kSelf, 1, kTestPageBytes))[0].slab;
  EXPECT_EQ(*inventory_.PublishCopy(kSelf, slab, TestHeader(TestPage(1)), kGroup, {.source = 1}),
            Inventory::Publication::kPublished);
  EXPECT_EQ(inventory_.Find(kGroup, TestPage(1)), MissCause::kNone);
  holds_.Announce(1, {}, start_);
  holds_.Expire(start_ + absl::Seconds(10));
  EXPECT_EQ(inventory_.counts().published_pages, 0);
  EXPECT_EQ(inventory_.counts().used_bytes, 0);
}

}  // namespace
}  // namespace pinboard::cache_service
