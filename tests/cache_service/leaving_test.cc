// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which pages leave next, and that it is said before they do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "cache_service/inventory/inventory.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr ClientId kClient(1);
constexpr GroupId kGroup(5);
constexpr std::uint64_t kBytes = 256;
constexpr int kSlabs = 100;
constexpr int kLow = 50;
constexpr int kHigh = 90;
constexpr std::size_t kAll = 1000;

class LeavingTest : public ::testing::Test {
 protected:
  explicit LeavingTest(EvictionPolicyPtr policy = LowestInformation())
      : inventory_(Arena({kSlabs * kBytes}, 10 * kBytes), std::move(policy), Watermarks{0.9, 0.5},
                   clock_) {
    inventory_.AddClient(kClient, kGroup);
    inventory_.FollowLeaving();
  }
  void Publish(int page, std::int32_t information, PageOrigin origin = {}) {
    const auto leased = inventory_.Lease(kClient, 1, kBytes);
    ASSERT_EQ(leased.status(), absl::OkStatus());
    EXPECT_EQ(inventory_
                  .PublishCopy(
                      kClient, leased->front().slab,
                      TestHeader(TestPage(static_cast<std::uint32_t>(page)), information, kBytes),
                      kGroup, origin)
                  .status(),
              absl::OkStatus());
    clock_.Advance(absl::Milliseconds(1));
  }
  /// As a rank that reads it.
  void Use(int page) {
    const auto pinned = inventory_.Pin(kClient, TestPage(static_cast<std::uint32_t>(page)));
    ASSERT_EQ(pinned.miss, MissCause::kNone);
    EXPECT_EQ(inventory_.Unpin(kClient, pinned.slab.slab), absl::OkStatus());
    clock_.Advance(absl::Milliseconds(1));
  }
  std::vector<int> Named(std::size_t most = kAll) {
    std::vector<int> pages;
    for (const NamedPage& named : inventory_.NameLeaving(most)) {
      EXPECT_EQ(named.group, kGroup);
      pages.push_back(static_cast<int>(named.page.key.page));
    }
    return pages;
  }
  bool IsHere(int page) const {
    return inventory_.Find(kGroup, TestPage(static_cast<std::uint32_t>(page))) == MissCause::kNone;
  }

  FakeClock clock_;
  Inventory inventory_;
};

TEST_F(LeavingTest, WhatIsOfferedLeavesAsItsOffersEndAndBetterPagesStay) {
  constexpr int kPages = kHigh + 1;
  for (int page = 0; page < kPages; ++page) Publish(page, page);
  std::vector<SlabId> offered;
  for (const int page : Named()) {
    const auto pinned =
        inventory_.PinToCopy(kClient, kGroup, TestPage(static_cast<std::uint32_t>(page)));
    ASSERT_EQ(pinned.miss, MissCause::kNone);
    offered.push_back(pinned.slab.slab);
  }
  ASSERT_EQ(offered.size(), static_cast<std::size_t>(kPages - kLow));
  const auto here = [this] {
    int count = 0;
    for (int page = 0; page < kPages; ++page) count += IsHere(page) ? 1 : 0;
    return count;
  };
  inventory_.EvictInBackground(kAll);
  EXPECT_EQ(here(), kHigh);
  constexpr int kEnded = 10;
  EXPECT_EQ(inventory_.Unpin(kClient, absl::MakeConstSpan(offered).subspan(0, kEnded)),
            absl::OkStatus());
  inventory_.EvictInBackground(kAll);
  EXPECT_EQ(here(), kPages - kEnded);
  for (int page = kPages - kLow + 1; page < kPages; ++page) EXPECT_TRUE(IsHere(page)) << page;
  EXPECT_EQ(inventory_.Unpin(kClient, absl::MakeConstSpan(offered).subspan(kEnded)),
            absl::OkStatus());
  inventory_.EvictInBackground(kAll);
  EXPECT_EQ(here(), kLow);
}

TEST_F(LeavingTest, WhatIsAboveTheLowMarkIsNamedOnceTheLowestFirst) {
  for (int page = 0; page < kLow; ++page) Publish(page, 1000 - page);
  EXPECT_THAT(Named(), IsEmpty());
  for (int page = kLow; page < kLow + 3; ++page) Publish(page, 1000 - page);
  EXPECT_THAT(Named(2), ElementsAre(52, 51));
  EXPECT_THAT(Named(), ElementsAre(50));
  EXPECT_THAT(Named(), IsEmpty());
  Publish(53, 0);
  EXPECT_THAT(Named(), ElementsAre(53));
}

TEST_F(LeavingTest, WhatIsDroppedMakesRoomForNothingMore) {
  for (int page = 0; page < kLow + 3; ++page) Publish(page, page);
  EXPECT_THAT(Named(), ElementsAre(0, 1, 2));
  inventory_.Drop(kGroup, TestPage(1));
  inventory_.Drop(kGroup, TestPage(20));
  EXPECT_THAT(Named(), IsEmpty());
  Publish(60, 60);
  EXPECT_THAT(Named(), IsEmpty()) << "0 and 2 leave, which have been named";
  Publish(61, 61);
  EXPECT_THAT(Named(), ElementsAre(3));
}

TEST_F(LeavingTest, PagesOfOtherMembersAreNotNamedAndLeaveAsOthersDo) {
  Publish(0, 0, {.source = 2});
  Publish(1, 1, {.source = 3, .spilled = true});
  for (int page = 2; page < kLow + 3; ++page) Publish(page, page);
  EXPECT_THAT(Named(), ElementsAre(2));
}

TEST_F(LeavingTest, EachPageIsVisitedOnceAndMayBecomeThisMembersOwn) {
  for (int page = 0; page < 25; ++page) {
    Publish(page, 0, {.source = static_cast<std::uint16_t>(page % 3), .spilled = page == 2});
  }
  inventory_.Drop(kGroup, TestPage(7));
  std::set<std::uint32_t> seen;
  std::map<std::uint16_t, int> sources;
  int visits = 0;
  const auto visit = [&](const NamedPage& named, const PageOrigin& origin) {
    EXPECT_TRUE(seen.insert(named.page.key.page).second);
    EXPECT_EQ(origin.spilled, named.page.key.page == 2);
    ++sources[origin.source];
    return origin.source == 2;
  };
  const auto go = [&] {
    std::optional<SlabAddress> next = SlabAddress{};
    for (; next.has_value(); ++visits) next = inventory_.VisitPages(*next, 6, visit);
  };
  go();
  EXPECT_EQ(seen.size(), 24);
  EXPECT_GT(visits, 4);
  EXPECT_THAT(sources, ElementsAre(Pair(0, 9), Pair(1, 7), Pair(2, 8)));
  seen.clear();
  sources.clear();
  go();
  EXPECT_THAT(sources, ElementsAre(Pair(0, 17), Pair(1, 7)));
}

class RecentlyUsedLeavingTest : public LeavingTest {
 protected:
  RecentlyUsedLeavingTest() : LeavingTest(LeastRecentlyUsed()) {}
};

TEST_F(RecentlyUsedLeavingTest, WhatIsUsedIsNotLeavingAnyMore) {
  for (int page = 0; page < kLow + 2; ++page) Publish(page, 0);
  EXPECT_THAT(Named(), ElementsAre(0, 1));
  Use(0);
  EXPECT_THAT(Named(), ElementsAre(2));
  const auto pinned = inventory_.PinToCopy(kClient, kGroup, TestPage(1));
  EXPECT_EQ(inventory_.Unpin(kClient, pinned.slab.slab), absl::OkStatus());
  EXPECT_THAT(Named(), IsEmpty()) << "to be copied is no use";
}

TEST_F(RecentlyUsedLeavingTest, WhatWasSpilledLeavesFirstUntilItIsUsed) {
  Publish(0, 0);
  Publish(1, 0, {.source = 2, .spilled = true});
  Publish(2, 0, {.source = 2, .spilled = true});
  EXPECT_EQ(inventory_.counts().spilled_pages, 2);
  for (int page = 3; page < kSlabs; ++page) Publish(page, 0);
  Use(2);
  EXPECT_EQ(inventory_.counts().spilled_fetches_total, 1);
  Publish(kSlabs, 0);
  EXPECT_FALSE(IsHere(1));
  EXPECT_TRUE(IsHere(0));
  Publish(kSlabs + 1, 0);
  EXPECT_FALSE(IsHere(0));
  EXPECT_TRUE(IsHere(2));
  EXPECT_EQ(inventory_.counts().spilled_pages, 1);
}

TEST_F(RecentlyUsedLeavingTest, NothingLeavesInTheBackgroundThatWasNotNamed) {
  SeededRandom random;
  std::set<int> named;
  int gone = 0;
  for (int page = 0; page < 2000; ++page) {
    Publish(page, 0);
    for (int uses = random.Int(0, 3); uses > 0; --uses) {
      const int used = random.Int(0, page);
      if (!IsHere(used)) continue;
      Use(used);
      named.erase(used);
    }
    for (const int leaving : Named()) EXPECT_TRUE(named.insert(leaving).second) << leaving;
    const std::size_t leaving = named.size();
    inventory_.EvictInBackground(static_cast<int>(kAll));
    for (auto left = named.begin(); left != named.end();) {
      left = IsHere(*left) ? std::next(left) : named.erase(left);
    }
    const int here = static_cast<int>(inventory_.counts().published_pages);
    const int left = page + 1 - here - gone;
    gone += left;
    if (left == 0) continue;
    EXPECT_EQ(left, leaving);
    EXPECT_THAT(named, IsEmpty());
  }
  EXPECT_GT(gone, 1000);
}

}  // namespace
}  // namespace pinboard::cache_service
