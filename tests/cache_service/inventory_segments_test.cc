// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// An inventory whose memory comes and goes, and whose tenant has limits.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "cache_service/inventory/inventory.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

constexpr ClientId kClient{1};
constexpr std::uint64_t kBytes = 1024;
constexpr std::uint64_t kChunk = 4 * kBytes;
constexpr std::uint64_t kSegment = 2 * kChunk;
constexpr std::uint64_t kSegmentSlabs = kSegment / kBytes;

class InventorySegmentsTest : public ::testing::Test {
 protected:
  InventorySegmentsTest() { inventory_.AddClient(kClient, GroupId(1)); }

  std::vector<GrantedSlab> Lease(std::uint64_t count, std::uint64_t bytes = kBytes) {
    const auto leased = inventory_.Lease(kClient, count, bytes);
    return leased.ok() ? *leased : std::vector<GrantedSlab>();
  }
  bool Publish(std::uint32_t page, int information = 0) {
    const auto leased = Lease(1);
    if (leased.empty()) return false;
    EXPECT_EQ(inventory_.Publish(kClient, leased[0].slab,
                                 TestHeader(TestPage(page), information, kBytes)),
              absl::OkStatus());
    return true;
  }
  bool IsThere(std::uint32_t page) {
    const auto pinned = inventory_.Pin(kClient, TestPage(page));
    if (pinned.miss != MissCause::kNone) return false;
    EXPECT_EQ(inventory_.Unpin(kClient, pinned.slab.slab), absl::OkStatus());
    return true;
  }
  std::uint64_t Evictions(EvictionCause cause) const {
    return inventory_.counts().evictions_total[static_cast<int>(cause)];
  }

  const FakeClock clock_;
  Inventory inventory_{Arena({}, kChunk), LowestInformation(), {1, 1}, clock_};
};

TEST_F(InventorySegmentsTest, HasNoRoomBeforeItHasASegment) {
  EXPECT_TRUE(absl::IsResourceExhausted(inventory_.Lease(kClient, 1, kBytes).status()));
  inventory_.AddSegment(0, kSegment);
  EXPECT_EQ(Lease(kSegmentSlabs).size(), kSegmentSlabs);
  EXPECT_TRUE(Lease(1).empty());
  inventory_.AddSegment(7, kSegment);
  EXPECT_EQ(Lease(1).at(0).place.segment, 7);
  EXPECT_EQ(inventory_.counts().capacity_bytes, 2 * kSegment);
}

TEST_F(InventorySegmentsTest, OnlyASegmentWithoutSlabsInUseIsIdle) {
  inventory_.AddSegment(0, kSegment);
  inventory_.AddSegment(1, kSegment);
  const auto leased = Lease(1);
  EXPECT_EQ(inventory_.TakeIdle(), 1);
  EXPECT_EQ(inventory_.TakeIdle(), std::nullopt);
  EXPECT_EQ(inventory_.Return(kClient, leased[0].slab), absl::OkStatus());
  EXPECT_EQ(inventory_.TakeIdle(), 0);
  EXPECT_EQ(inventory_.counts().capacity_bytes, 0);
}

TEST_F(InventorySegmentsTest, AVacatedSegmentIsEmptiedAndNothingNewGoesThere) {
  inventory_.AddSegment(0, kSegment);
  inventory_.AddSegment(1, kSegment);
  for (std::uint32_t page = 0; page < kSegmentSlabs + 2; ++page) ASSERT_TRUE(Publish(page));
  inventory_.VacateSegment();  // 1: two pages
  EXPECT_EQ(inventory_.TakeVacated(), std::nullopt);
  EXPECT_TRUE(Publish(100)) << "a page of segment 0 leaves for it";
  EXPECT_EQ(Evictions(EvictionCause::kSameSize), 1);
  EXPECT_EQ(inventory_.EvictInBackground(1), absl::InfinitePast()) << "one is left";
  inventory_.EvictInBackground(64);
  EXPECT_EQ(Evictions(EvictionCause::kReclaimed), 2);
  EXPECT_EQ(inventory_.TakeVacated(), 1);
  EXPECT_EQ(inventory_.TakeVacated(), std::nullopt);
  EXPECT_TRUE(IsThere(100));
  EXPECT_FALSE(IsThere(kSegmentSlabs));
}

TEST_F(InventorySegmentsTest, AVacatedSegmentStaysWhileAPageIsReadOrALeaseIsHeld) {
  inventory_.AddSegment(0, kSegment);
  ASSERT_TRUE(Publish(1));
  const auto pinned = inventory_.Pin(kClient, TestPage(1));
  const auto leased = Lease(1);
  inventory_.VacateSegment();
  EXPECT_TRUE(Lease(1).empty());
  inventory_.EvictInBackground(64);
  EXPECT_EQ(inventory_.TakeVacated(), std::nullopt);
  EXPECT_TRUE(IsThere(1));
  EXPECT_EQ(inventory_.Unpin(kClient, pinned.slab.slab), absl::OkStatus());
  inventory_.EvictInBackground(64);
  EXPECT_EQ(inventory_.TakeVacated(), std::nullopt);
  EXPECT_EQ(inventory_.Return(kClient, leased[0].slab), absl::OkStatus());
  EXPECT_EQ(inventory_.TakeVacated(), 0);
}

TEST_F(InventorySegmentsTest, AboveItsPagesTheLowestOfATenantsOwnLeave) {
  inventory_.AddSegment(0, kSegment);
  inventory_.SetLimits({.pages = 3});
  for (const int page : {1, 2, 3}) ASSERT_TRUE(Publish(page, page));
  const auto pinned = inventory_.Pin(kClient, TestPage(1));
  ASSERT_TRUE(Publish(4, 4));
  EXPECT_EQ(Evictions(EvictionCause::kQuota), 1);
  EXPECT_FALSE(IsThere(2)) << "the lowest that could leave";
  EXPECT_EQ(inventory_.counts().published_pages, 3);
  EXPECT_TRUE(Lease(3).empty()) << "one of the three is read";
  EXPECT_EQ(inventory_.counts().published_pages, 3) << "a refused lease takes nothing";
  EXPECT_EQ(Lease(2).size(), 2);
  EXPECT_EQ(inventory_.Unpin(kClient, pinned.slab.slab), absl::OkStatus());
}

TEST_F(InventorySegmentsTest, APageThatNeedsOneExtentTooManyIsNotPublished) {
  inventory_.AddSegment(0, kSegment);
  inventory_.SetLimits({.extents = 1});
  ASSERT_TRUE(Publish(1));
  ASSERT_TRUE(Publish(2));
  ASSERT_TRUE(Publish(1000));
  EXPECT_TRUE(IsThere(2));
  EXPECT_FALSE(IsThere(1000));
  EXPECT_EQ(inventory_.counts().refused_publishes_total, 1);
  EXPECT_EQ(inventory_.counts().leased_slabs, 0);
  inventory_.DropSequence(kClient, 7);
  ASSERT_TRUE(Publish(1000));
  EXPECT_TRUE(IsThere(1000));
}

/// What is held never overlaps and lies in segments that are there; in the end all comes back.
TEST_F(InventorySegmentsTest, RandomHistoriesKeepSlabsApartAndInTheirSegments) {
  SeededRandom random;
  std::set<std::uint32_t> segments;
  std::uint32_t next_segment = 0;
  std::map<SlabId, GrantedSlab> leases;
  std::map<SlabId, std::pair<GrantedSlab, int>> pins;
  const auto check = [&](const SlabPlace& place) {
    EXPECT_TRUE(segments.contains(place.segment)) << place.segment;
    EXPECT_LE(place.offset + place.bytes, kSegment);
  };
  for (int step = 0; step < 20000; ++step) {
    switch (random.Int(0, 9)) {
      case 0:
        if (segments.size() < 4) {
          segments.insert(next_segment);
          inventory_.AddSegment(next_segment++, kSegment);
        }
        break;
      case 1:
        if (random.OneIn(4)) inventory_.VacateSegment();
        break;
      case 2:
        for (const auto taken : {inventory_.TakeVacated(), inventory_.TakeIdle()}) {
          if (!taken.has_value()) continue;
          EXPECT_EQ(segments.erase(*taken), 1);
          for (const auto& [id, slab] : leases) EXPECT_NE(slab.place.segment, *taken);
          for (const auto& [id, pin] : pins) EXPECT_NE(pin.first.place.segment, *taken);
        }
        break;
      case 3:
        inventory_.EvictInBackground(random.Int(0, 3));
        break;
      case 4:
      case 5:
        for (const GrantedSlab& slab :
             Lease(random.Int(1, 3), random.OneIn(3) ? 2 * kBytes : kBytes)) {
          check(slab.place);
          for (const auto& [id, other] : leases) {
            const bool apart = other.place.segment != slab.place.segment ||
                               other.place.offset + other.place.bytes <= slab.place.offset ||
                               slab.place.offset + slab.place.bytes <= other.place.offset;
            EXPECT_TRUE(apart);
          }
          leases[slab.slab] = slab;
        }
        break;
      case 6:
      case 7:
        if (!leases.empty()) {
          const SlabId slab = leases.begin()->first;
          leases.erase(slab);
          if (random.OneIn(3)) {
            EXPECT_EQ(inventory_.Return(kClient, slab), absl::OkStatus());
          } else {
            const PageRef page = TestPage(random.Int(0, 40), step);
            EXPECT_EQ(inventory_.Publish(kClient, slab, TestHeader(page, random.Int(0, 9), kBytes)),
                      absl::OkStatus());
            const auto pinned = inventory_.Pin(kClient, page);
            ASSERT_EQ(pinned.miss, MissCause::kNone);
            check(pinned.slab.place);
            pins[pinned.slab.slab] = {pinned.slab, 1};
          }
        }
        break;
      default:
        if (!pins.empty()) {
          EXPECT_EQ(inventory_.Unpin(kClient, pins.begin()->first), absl::OkStatus());
          pins.erase(pins.begin());
        }
    }
  }
  inventory_.RemoveClient(kClient);
  while (inventory_.TakeIdle().has_value()) segments.erase(segments.begin());
  EXPECT_TRUE(segments.empty());
  EXPECT_EQ(inventory_.counts().used_bytes, 0);
  EXPECT_EQ(inventory_.counts().capacity_bytes, 0);
}

}  // namespace
}  // namespace pinboard::cache_service
