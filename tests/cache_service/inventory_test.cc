// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/inventory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "tests/cache_service/test_pages.h"
#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

constexpr ClientId kRank0{10};
constexpr ClientId kRank1{11};
constexpr ClientId kStranger{20};
constexpr std::uint64_t kBytes = 1024;
constexpr std::uint64_t kSlabs = 8;

class InventoryTest : public ::testing::Test {
 protected:
  InventoryTest()
      : inventory_(Arena({kSlabs * kBytes}, 4 * kBytes), LowestInformation(), {1, 1}, clock_) {
    inventory_.AddClient(kRank0, GroupId(1));
    inventory_.AddClient(kRank1, GroupId(1));
    inventory_.AddClient(kStranger, GroupId(2));
  }

  SlabId LeaseOne(ClientId client, std::uint64_t bytes = kBytes) {
    const auto leased = inventory_.Lease(client, 1, bytes);
    EXPECT_EQ(leased.status(), absl::OkStatus());
    return leased.ok() ? leased->front().slab : SlabId(0);
  }
  SlabId Publish(ClientId client, const PageRef& page, int information = 0,
                 std::uint64_t bytes = kBytes) {
    const SlabId slab = LeaseOne(client, bytes);
    EXPECT_EQ(inventory_.Publish(client, slab, TestHeader(page, information, bytes)),
              absl::OkStatus());
    return slab;
  }
  std::uint64_t Leasable(ClientId client) {
    std::vector<SlabId> slabs;
    while (true) {
      const auto leased = inventory_.Lease(client, 1, kBytes);
      if (!leased.ok()) break;
      slabs.push_back(leased->front().slab);
    }
    for (const SlabId slab : slabs) EXPECT_EQ(inventory_.Return(client, slab), absl::OkStatus());
    return slabs.size();
  }

  const FakeClock clock_;
  Inventory inventory_;
};

TEST_F(InventoryTest, ASlabGoesFromFreeToLeasedToPublishedToFree) {
  EXPECT_EQ(inventory_.counts().used_bytes, 0);
  const SlabId slab = LeaseOne(kRank0);
  EXPECT_EQ(inventory_.counts().leased_slabs, 1);
  ASSERT_EQ(inventory_.Publish(kRank0, slab, TestHeader(TestPage(1), 0, kBytes)), absl::OkStatus());
  EXPECT_EQ(inventory_.counts().leased_slabs, 0);
  EXPECT_EQ(inventory_.counts().published_pages, 1);
  inventory_.Drop(kRank1, TestPage(1));
  EXPECT_EQ(inventory_.counts().published_pages, 0);
  EXPECT_EQ(inventory_.counts().used_bytes, 0);
}

TEST(InventoryGroupTest, WhatIsLeftOfAnEndedGroupCountsAgainstNobody) {
  constexpr std::uint32_t kMany = 10000;
  constexpr std::uint32_t kExtents = (kMany + 15) / 16;
  const FakeClock clock;
  Inventory inventory(Arena({(kMany + 1) * kBytes}, kBytes), LowestInformation(), {1, 1}, clock);
  inventory.SetLimits({.extents = kExtents + 1});
  const auto publish = [&inventory](ClientId client, std::uint32_t page) {
    const SlabId slab = inventory.Lease(client, 1, kBytes)->front().slab;
    EXPECT_EQ(inventory.Publish(client, slab, TestHeader(TestPage(page), 0, kBytes)),
              absl::OkStatus());
  };
  const auto fill_and_end = [&] {
    inventory.AddClient(kRank0, GroupId(1));
    for (std::uint32_t page = 0; page < kMany; ++page) publish(kRank0, page);
    inventory.RemoveClient(kRank0);
    EXPECT_GT(inventory.counts().published_pages, kMany / 2);
  };
  inventory.AddClient(kStranger, GroupId(2));
  publish(kStranger, 0);  // the first that would be evicted
  fill_and_end();
  EXPECT_EQ(inventory.Lease(kStranger, kMany, kBytes)->size(), kMany);
  EXPECT_EQ(inventory.Find(GroupId(2), TestPage(0)), MissCause::kNone);

  inventory.RemoveClient(kStranger);
  inventory.AddClient(kStranger, GroupId(2));
  fill_and_end();
  for (std::uint32_t extent = 0; extent <= kExtents; ++extent) publish(kStranger, 16 * extent);
  EXPECT_EQ(inventory.counts().refused_publishes_total, 0);
}

// However many they were they left in one turn, which held up everybody else.
TEST(InventoryGroupTest, ManyPagesOfAGroupLeaveInPartsBeforeOthersAndStayWithAClientThatComes) {
  constexpr std::uint64_t kMany = 4000;
  const FakeClock clock;
  Inventory inventory(Arena({(kMany + 1) * kBytes}, kBytes), LowestInformation(), {1, 1}, clock);
  const auto publish = [&inventory](ClientId client, std::uint64_t page) {
    const SlabId slab = inventory.Lease(client, 1, kBytes)->front().slab;
    const PageHeader header = TestHeader(TestPage(static_cast<std::uint32_t>(page)), 0, kBytes);
    EXPECT_EQ(inventory.Publish(client, slab, header), absl::OkStatus());
  };
  const auto pages = [&inventory] { return inventory.counts().published_pages; };
  inventory.AddClient(kStranger, GroupId(2));
  inventory.AddClient(kRank0, GroupId(1));
  publish(kStranger, 0);  // the first that would be evicted
  for (std::uint64_t page = 0; page < kMany; ++page) publish(kRank0, page);
  inventory.RemoveClient(kRank0);
  const std::uint64_t some = kMany + 1 - pages();
  EXPECT_GT(some, 0);
  EXPECT_LT(some, kMany / 2);

  inventory.AddClient(kRank1, GroupId(1));
  EXPECT_EQ(inventory.EvictInBackground(1), absl::InfiniteFuture());
  EXPECT_EQ(pages(), kMany + 1 - some);
  inventory.RemoveClient(kRank1);
  EXPECT_EQ(inventory.EvictInBackground(1), absl::InfinitePast());
  const std::uint64_t left = pages();
  EXPECT_GT(left, 1);
  EXPECT_EQ(inventory.Lease(kStranger, kMany + 1 - left + 1, kBytes).status(), absl::OkStatus());
  EXPECT_EQ(inventory.Find(GroupId(2), TestPage(0)), MissCause::kNone);
  EXPECT_LT(pages(), left);
  while (inventory.EvictInBackground(1) == absl::InfinitePast()) {
  }
  EXPECT_EQ(pages(), 1);
  EXPECT_EQ(inventory.GroupsWithPages(), std::vector<GroupId>{GroupId(2)});
}

TEST_F(InventoryTest, OnlyTheHolderOfALeaseMayPublishOrReturnIt) {
  const SlabId slab = LeaseOne(kRank0);
  const PageHeader header = TestHeader(TestPage(1), 0, kBytes);
  EXPECT_TRUE(absl::IsInvalidArgument(inventory_.Publish(kRank1, slab, header)));
  EXPECT_TRUE(absl::IsInvalidArgument(inventory_.Return(kRank1, slab)));
  EXPECT_EQ(inventory_.Return(kRank0, slab), absl::OkStatus());
  EXPECT_TRUE(absl::IsInvalidArgument(inventory_.Return(kRank0, slab)));
}

TEST_F(InventoryTest, AnEndedLeaseIsRefusedThoughItsPlaceIsLeasedAgain) {
  const SlabId first = LeaseOne(kRank0);
  ASSERT_EQ(inventory_.Return(kRank0, first), absl::OkStatus());
  const SlabId second = LeaseOne(kRank0);
  EXPECT_NE(first, second);
  EXPECT_TRUE(absl::IsInvalidArgument(
      inventory_.Publish(kRank0, first, TestHeader(TestPage(1), 0, kBytes))));
  EXPECT_EQ(inventory_.Return(kRank0, second), absl::OkStatus());
}

TEST_F(InventoryTest, APageLargerThanItsSlabIsRefused) {
  const SlabId slab = LeaseOne(kRank0);
  EXPECT_TRUE(absl::IsInvalidArgument(
      inventory_.Publish(kRank0, slab, TestHeader(TestPage(1), 0, kBytes + 1))));
  EXPECT_TRUE(
      absl::IsInvalidArgument(inventory_.Publish(kRank0, slab, TestHeader(TestPage(1), 0, 0))));
}

TEST_F(InventoryTest, ALeaseOfAnImpossibleSizeIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(inventory_.Lease(kRank0, 1, 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(inventory_.Lease(kRank0, 1, 4 * kBytes + 1).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(inventory_.Lease(kRank0, kSlabs + 1, kBytes).status()));
}

TEST_F(InventoryTest, ALeaseAheadTakesOnlyWhatNobodyWillMiss) {
  EXPECT_TRUE(absl::IsResourceExhausted(inventory_.LeaseAhead(kRank0, 5, kBytes).status()))
      << "clients would hold more than half";
  ASSERT_EQ(inventory_.LeaseAhead(kRank0, 4, kBytes).status(), absl::OkStatus());
  EXPECT_FALSE(inventory_.LeaseAhead(kRank1, 1, kBytes).ok());
  EXPECT_EQ(inventory_.Lease(kRank1, 4, kBytes).status(), absl::OkStatus());
  EXPECT_EQ(inventory_.counts().leased_slabs, kSlabs);
  for (const std::uint64_t bytes : {std::uint64_t{0}, 4 * kBytes + 1, ~std::uint64_t{0}}) {
    EXPECT_TRUE(absl::IsResourceExhausted(inventory_.LeaseAhead(kRank0, 1, bytes).status()));
  }
  EXPECT_FALSE(inventory_.LeaseAhead(kRank0, ~std::uint64_t{0}, kBytes).ok());
}

TEST_F(InventoryTest, NoPageLeavesForALeaseAhead) {
  for (std::uint32_t page = 0; page < kSlabs; ++page) Publish(kRank0, TestPage(page));
  EXPECT_TRUE(absl::IsResourceExhausted(inventory_.LeaseAhead(kRank0, 1, kBytes).status()));
  EXPECT_EQ(inventory_.counts().published_pages, kSlabs);
  inventory_.Drop(kRank0, TestPage(0));
  inventory_.Drop(kRank0, TestPage(1));
  EXPECT_FALSE(inventory_.LeaseAhead(kRank0, 3, kBytes).ok());
  inventory_.SetLimits({.pages = kSlabs - 1});
  EXPECT_FALSE(inventory_.LeaseAhead(kRank0, 2, kBytes).ok()) << "a page would leave later";
  EXPECT_EQ(inventory_.LeaseAhead(kRank0, 1, kBytes).status(), absl::OkStatus());
}

TEST_F(InventoryTest, ALeaseAheadEndsBelowTheHighMark) {
  Inventory inventory(Arena({kSlabs * kBytes}, 4 * kBytes), LowestInformation(), {0.5, 0.25},
                      clock_);
  inventory.AddClient(kRank0, GroupId(1));
  const auto leased = inventory.Lease(kRank0, 3, kBytes);
  ASSERT_EQ(leased.status(), absl::OkStatus());
  for (std::uint32_t i = 0; i < 3; ++i) {
    const PageHeader header = TestHeader(TestPage(i), 0, kBytes);
    ASSERT_EQ(inventory.Publish(kRank0, (*leased)[i].slab, header), absl::OkStatus());
  }
  EXPECT_FALSE(inventory.LeaseAhead(kRank0, 2, kBytes).ok());
  EXPECT_EQ(inventory.LeaseAhead(kRank0, 1, kBytes).status(), absl::OkStatus());
}

TEST_F(InventoryTest, TheSlabsOfALostClientStayQuarantinedUntilItIsRemoved) {
  LeaseOne(kRank0);
  LeaseOne(kRank0);
  inventory_.Quarantine(kRank0);
  EXPECT_EQ(inventory_.counts().quarantined_slabs, 2);
  EXPECT_EQ(inventory_.counts().leased_slabs, 0);
  EXPECT_EQ(Leasable(kRank1), kSlabs - 2);
  inventory_.RemoveClient(kRank0);
  EXPECT_EQ(inventory_.counts().quarantined_slabs, 0);
  EXPECT_EQ(Leasable(kRank1), kSlabs);
}

TEST_F(InventoryTest, APinOfALostClientHoldsUntilItIsRemoved) {
  Publish(kRank0, TestPage(1), -100);
  ASSERT_EQ(inventory_.Pin(kRank1, TestPage(1)).miss, MissCause::kNone);
  inventory_.Quarantine(kRank1);
  EXPECT_EQ(Leasable(kRank0), kSlabs - 1);
  inventory_.RemoveClient(kRank1);
  EXPECT_EQ(Leasable(kRank0), kSlabs);
}

TEST_F(InventoryTest, APinEndsOnlyByWhoMadeIt) {
  const SlabId slab = Publish(kRank0, TestPage(1));
  const auto ends = [&](ClientId client) { return inventory_.Unpin(client, slab).ok(); };
  EXPECT_FALSE(ends(kRank0));
  inventory_.Pin(kRank0, TestPage(1));
  EXPECT_FALSE(ends(kRank1));
  inventory_.Pin(kRank1, TestPage(1));
  inventory_.Pin(kRank0, TestPage(1));
  EXPECT_TRUE(ends(kRank0));
  EXPECT_TRUE(ends(kRank0));
  EXPECT_FALSE(ends(kRank0));
  inventory_.Pin(kRank1, TestPage(1));  // now of two kinds: from while another pinned it, and alone
  inventory_.Pin(kRank0, TestPage(1));
  EXPECT_EQ(inventory_.counts().pins, 3);
  EXPECT_TRUE(ends(kRank1));
  EXPECT_TRUE(ends(kRank1));
  EXPECT_FALSE(ends(kRank1));
  inventory_.RemoveClient(kRank0);
  EXPECT_EQ(inventory_.counts().pins, 0);
  EXPECT_FALSE(ends(kRank1));
}

TEST_F(InventoryTest, ALeaseIsNoPinAndAPinNoLease) {
  const SlabId leased = LeaseOne(kRank0);
  EXPECT_TRUE(absl::IsInvalidArgument(inventory_.Unpin(kRank0, leased)));
  const SlabId published = Publish(kRank0, TestPage(1));
  inventory_.Pin(kRank0, TestPage(1));
  EXPECT_TRUE(absl::IsInvalidArgument(inventory_.Return(kRank0, published)));
  EXPECT_TRUE(absl::IsInvalidArgument(
      inventory_.Publish(kRank0, published, TestHeader(TestPage(1, 2), 0, kBytes))));
  EXPECT_EQ(inventory_.counts().leased_slabs, 1);
  EXPECT_EQ(inventory_.counts().pins, 1);
}

TEST_F(InventoryTest, ADroppedPageKeepsItsSlabUntilTheLastPinEnds) {
  const SlabId slab = Publish(kRank0, TestPage(1));
  ASSERT_EQ(inventory_.Pin(kRank0, TestPage(1)).miss, MissCause::kNone);
  ASSERT_EQ(inventory_.Pin(kRank1, TestPage(1)).miss, MissCause::kNone);
  inventory_.DropSequence(kRank0, TestPage(1).key.sequence);
  EXPECT_EQ(inventory_.counts().used_bytes, kBytes);
  EXPECT_EQ(inventory_.Unpin(kRank0, slab), absl::OkStatus());
  EXPECT_TRUE(absl::IsInvalidArgument(inventory_.Unpin(kRank0, slab)));
  EXPECT_EQ(inventory_.counts().used_bytes, kBytes);
  EXPECT_EQ(inventory_.Unpin(kRank1, slab), absl::OkStatus());
  EXPECT_EQ(inventory_.counts().used_bytes, 0);
  EXPECT_EQ(inventory_.counts().pins, 0);
}

TEST_F(InventoryTest, MissesSayWhy) {
  EXPECT_EQ(inventory_.Pin(kRank0, TestPage(1)).miss, MissCause::kUnknown);
  Publish(kRank0, TestPage(1, 2), -5);
  EXPECT_EQ(inventory_.Pin(kRank0, TestPage(1, 1)).miss, MissCause::kGeneration);
  EXPECT_EQ(inventory_.Pin(kRank0, TestPage(1, 3)).miss, MissCause::kUnknown);
  EXPECT_EQ(Leasable(kRank1), kSlabs);
  EXPECT_EQ(inventory_.Pin(kRank0, TestPage(1, 2)).miss, MissCause::kEvicted);
  Publish(kRank0, TestPage(2));
  inventory_.Drop(kRank1, TestPage(2));
  EXPECT_EQ(inventory_.Pin(kRank0, TestPage(2)).miss, MissCause::kDropped);
  inventory_.DropSequence(kRank1, TestPage(2).key.sequence);
  EXPECT_EQ(inventory_.Pin(kRank0, TestPage(2)).miss, MissCause::kUnknown);
}

TEST_F(InventoryTest, AnEvictedPageMayComeBackButADroppedOneMayNot) {
  Publish(kRank0, TestPage(1));
  EXPECT_EQ(Leasable(kRank1), kSlabs);
  Publish(kRank0, TestPage(1));
  EXPECT_EQ(inventory_.Pin(kRank0, TestPage(1)).miss, MissCause::kNone);
  Publish(kRank0, TestPage(2));
  inventory_.Drop(kRank0, TestPage(2));
  Publish(kRank0, TestPage(2));
  EXPECT_EQ(inventory_.Pin(kRank0, TestPage(2)).miss, MissCause::kDropped);
  EXPECT_EQ(inventory_.counts().stale_publishes_total, 1);
}

TEST_F(InventoryTest, GroupsDoNotSeeEachOthersSequences) {
  Publish(kRank0, TestPage(1));
  EXPECT_EQ(inventory_.Pin(kStranger, TestPage(1)).miss, MissCause::kUnknown);
  inventory_.DropSequence(kStranger, TestPage(1).key.sequence);
  EXPECT_EQ(inventory_.Pin(kRank1, TestPage(1)).miss, MissCause::kNone);
}

TEST_F(InventoryTest, AGroupsPagesLeaveWithItsLastClient) {
  Publish(kRank0, TestPage(1));
  inventory_.RemoveClient(kRank0);
  EXPECT_EQ(inventory_.counts().published_pages, 1);
  inventory_.RemoveClient(kRank1);
  EXPECT_EQ(inventory_.counts().published_pages, 0);
  EXPECT_EQ(inventory_.counts().used_bytes, 0);
}

TEST_F(InventoryTest, PagesOfAnotherSizeLeaveByTheChunkWithTheLowestMean) {
  // Two chunks of four small pages; the second chunk is worth less though it has the best page.
  for (std::uint32_t i = 0; i < 4; ++i) Publish(kRank0, TestPage(i), 10);
  for (std::uint32_t i = 4; i < 8; ++i) Publish(kRank0, TestPage(i), i == 4 ? 30 : -10);
  Publish(kRank0, TestPage(100), 0, 4 * kBytes);
  EXPECT_EQ(inventory_.counts().evictions_total[static_cast<int>(EvictionCause::kOtherSize)], 4);
  for (std::uint32_t i = 0; i < 8; ++i) {
    EXPECT_EQ(inventory_.Pin(kRank0, TestPage(i)).miss,
              i < 4 ? MissCause::kNone : MissCause::kEvicted);
  }
}

TEST_F(InventoryTest, AChunkWithAPinnedPageIsNotReclaimed) {
  for (std::uint32_t i = 0; i < 8; ++i) Publish(kRank0, TestPage(i));
  ASSERT_EQ(inventory_.Pin(kRank0, TestPage(0)).miss, MissCause::kNone);
  ASSERT_EQ(inventory_.Pin(kRank0, TestPage(7)).miss, MissCause::kNone);
  EXPECT_TRUE(absl::IsResourceExhausted(inventory_.Lease(kRank0, 1, 4 * kBytes).status()));
  EXPECT_EQ(inventory_.counts().published_pages, 8);
}

/// Random operations against a plain model of who may reuse what.
TEST_F(InventoryTest, ManyPinsAtOnceAreThoseOneByOne) {
  Inventory large(Arena({1 << 20}, 1 << 16), LowestInformation(), {1, 1}, clock_);
  large.AddClient(kRank0, GroupId(1));
  std::mt19937 random(TestSeed());
  const auto leased = large.Lease(kRank0, 400, kBytes);
  ASSERT_TRUE(leased.ok());
  const auto any_page = [&random] {
    return PageRef{{.sequence = random() % 3,
                    .page = static_cast<std::uint32_t>(random() % 40),
                    .layer = static_cast<std::uint16_t>(random() % 20)},
                   static_cast<std::uint32_t>(1 + random() % 2)};
  };
  for (const GrantedSlab& slab : *leased) {
    ASSERT_EQ(large.Publish(kRank0, slab.slab, TestHeader(any_page(), random() % 50, kBytes)),
              absl::OkStatus());
  }
  std::vector<PageRef> asked(301);
  std::generate(asked.begin(), asked.end(), any_page);
  std::vector<SlabId> slabs;
  std::size_t next = 0;
  large.Pin(kRank0, asked, [&](std::size_t page, const Inventory::PinResult& pinned) {
    ASSERT_EQ(page, next++);
    if (pinned.miss == MissCause::kNone) {
      EXPECT_EQ(pinned.header->key, asked[page].key);
      EXPECT_EQ(pinned.header->generation, asked[page].generation);
    }
    slabs.push_back(pinned.miss == MissCause::kNone ? pinned.slab.slab : SlabId(0));
  });
  ASSERT_EQ(next, asked.size());
  std::vector<SlabId> held;
  std::set<MissCause> misses;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const Inventory::PinResult alone = large.Pin(kRank0, asked[i]);
    misses.insert(alone.miss);
    EXPECT_EQ(alone.miss == MissCause::kNone ? alone.slab.slab : SlabId(0), slabs[i]);
    if (alone.miss == MissCause::kNone) held.insert(held.end(), 2, slabs[i]);
  }
  EXPECT_EQ(misses.size(), 3) << "there are hits, pages never seen and other generations";
  EXPECT_EQ(large.counts().pins, held.size());
  held.insert(held.begin() + 5, SlabId(12345));
  EXPECT_TRUE(absl::IsInvalidArgument(large.Unpin(kRank0, held)));
  EXPECT_EQ(large.counts().pins, held.size() - 1 - 5) << "those before the wrong one have ended";
  held.erase(held.begin(), held.begin() + 6);
  EXPECT_EQ(large.Unpin(kRank0, held), absl::OkStatus());
  EXPECT_EQ(large.counts().pins, 0);
}

TEST_F(InventoryTest, NoRandomHistoryReusesWhatIsHeld) {
  std::mt19937 random(TestSeed());
  struct Held {
    ClientId client;
    GrantedSlab slab;
  };
  std::vector<Held> leases;
  std::vector<Held> pins;
  const auto take = [&random](std::vector<Held>& from) {
    std::swap(from[random() % from.size()], from.back());
    const Held held = from.back();
    from.pop_back();
    return held;
  };
  for (int step = 0; step < 20000; ++step) {
    const ClientId client = random() % 2 == 0 ? kRank0 : kRank1;
    const PageRef page = TestPage(random() % 12, 1 + step / 200);
    switch (random() % 6) {
      case 0: {
        const auto leased = inventory_.Lease(client, 1 + random() % 2, kBytes);
        if (!leased.ok()) break;
        for (const GrantedSlab& slab : *leased) leases.push_back({client, slab});
        break;
      }
      case 1:
      case 2: {
        if (leases.empty()) break;
        const Held held = take(leases);
        ASSERT_EQ(inventory_.Publish(held.client, held.slab.slab,
                                     TestHeader(page, random() % 50, kBytes)),
                  absl::OkStatus());
        break;
      }
      case 3: {
        const auto pinned = inventory_.Pin(client, page);
        if (pinned.miss == MissCause::kNone) pins.push_back({client, pinned.slab});
        break;
      }
      case 4: {
        if (pins.empty()) break;
        const Held held = take(pins);
        ASSERT_EQ(inventory_.Unpin(held.client, held.slab.slab), absl::OkStatus());
        break;
      }
      default:
        inventory_.Drop(client, page);
    }
    std::set<std::uint64_t> leased_places;
    for (const Held& held : leases)
      ASSERT_TRUE(leased_places.insert(held.slab.place.offset).second);
    std::map<std::uint64_t, SlabId> pinned_places;
    for (const Held& held : pins) {
      ASSERT_FALSE(leased_places.contains(held.slab.place.offset));
      ASSERT_EQ(pinned_places.emplace(held.slab.place.offset, held.slab.slab).first->second,
                held.slab.slab);
    }
    ASSERT_EQ(inventory_.counts().leased_slabs, leases.size());
    ASSERT_EQ(inventory_.counts().pins, pins.size());
  }
  inventory_.RemoveClient(kRank0);
  inventory_.RemoveClient(kRank1);
  EXPECT_EQ(inventory_.counts().used_bytes, 0);
}

}  // namespace
}  // namespace pinboard::cache_service
