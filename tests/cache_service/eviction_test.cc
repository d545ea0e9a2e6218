// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What holds under every eviction policy.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cache_service/inventory/inventory.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

constexpr ClientId kClient{1};
constexpr std::uint64_t kBytes = 256;
constexpr std::uint64_t kSlabs = 64;
constexpr std::uint64_t kChunkSlabs = 16;

class EvictionConformance : public ::testing::TestWithParam<const char*> {
 protected:
  Inventory MakeInventory(const Watermarks& watermarks) {
    Inventory inventory(Arena({kSlabs * kBytes}, kChunkSlabs * kBytes), policy_, watermarks,
                        clock_);
    inventory.AddClient(kClient, GroupId(1));
    return inventory;
  }
  static SlabId Publish(Inventory& inventory, const PageRef& page, std::int32_t information,
                        std::uint64_t bytes = kBytes) {
    const auto leased = inventory.Lease(kClient, 1, bytes);
    EXPECT_EQ(leased.status(), absl::OkStatus());
    if (!leased.ok()) return SlabId(0);
    EXPECT_EQ(
        inventory.Publish(kClient, leased->front().slab, TestHeader(page, information, bytes)),
        absl::OkStatus());
    return leased->front().slab;
  }
  static std::uint64_t Evictions(const Inventory& inventory, EvictionCause cause) {
    return inventory.counts().evictions_total[static_cast<int>(cause)];
  }

  FakeClock clock_;
  const EvictionPolicyPtr policy_ = *ParseEvictionPolicy(GetParam());
};

TEST_P(EvictionConformance, UseNeverLowersAValueAndExpiryFollowsIt) {
  SeededRandom random;
  const auto draw = [&](std::int32_t information) {
    const absl::Time published = clock_.Now() + absl::Milliseconds(random.Int(0, 10'000'000));
    const absl::Time used = published + absl::Milliseconds(random.Int(0, 10'000'000));
    return EvictionCandidate{information, absl::ToUnixNanos(published), absl::ToUnixNanos(used)};
  };
  for (int i = 0; i < 1000; ++i) {
    EvictionCandidate page = draw(random.Int(-10, 1 << 28));
    const std::int64_t value = policy_->Value(page);
    const absl::Time expires = policy_->Expires(page);
    const EvictionCandidate other = draw(random.Int(-10, 1 << 28));
    EXPECT_TRUE(policy_->Value(other) < value || policy_->Expires(other) >= expires);
    page.last_used_ns += random.Int(0, 1'000'000'000);
    EXPECT_GE(policy_->Value(page), value);
    EXPECT_GE(policy_->Expires(page), expires);
  }
}

/// Publishes, fetches, lets go and drops at random; whoever leaves must be the one that a search
/// over all pages finds.
TEST_P(EvictionConformance, WhoLeavesHasTheLowestValueOfAllThatMay) {
  struct Page {
    PageRef ref;
    SlabId slab;
    EvictionCandidate candidate;
    bool pinned = false;
  };
  SeededRandom random;
  Inventory inventory = MakeInventory({1, 1});
  std::vector<Page> pages;
  std::uint64_t evictions = 0;
  for (std::uint32_t step = 0; step < 5000; ++step) {
    clock_.Advance(absl::Milliseconds(random.Int(0, 500)));
    Page* page =
        pages.empty() ? nullptr : &pages[random.Int(0, static_cast<int>(pages.size()) - 1)];
    const int action = random.Int(0, 9);
    if (action < 4 || page == nullptr) {
      auto leaving = pages.end();
      if (pages.size() == kSlabs) {
        for (auto it = pages.begin(); it != pages.end(); ++it) {
          if (it->pinned) continue;
          const auto rank = [&](const Page& p) {
            return std::pair(policy_->Value(p.candidate), p.slab);
          };
          if (leaving == pages.end() || rank(*it) < rank(*leaving)) leaving = it;
        }
        ++evictions;
      }
      const int information = random.Int(0, 1 << 20);
      const PageRef ref = TestPage(step);
      const SlabId slab = Publish(inventory, ref, information);
      ASSERT_EQ(Evictions(inventory, EvictionCause::kSameSize), evictions);
      if (leaving != pages.end()) {
        ASSERT_EQ(inventory.Pin(kClient, leaving->ref).miss, MissCause::kEvicted);
        pages.erase(leaving);
      }
      const std::int64_t now_ns = absl::ToUnixNanos(clock_.Now());
      pages.push_back({ref, slab, {information, now_ns, now_ns}});
    } else if (action < 7) {
      if (page->pinned ||
          std::count_if(pages.begin(), pages.end(), [](const Page& p) { return p.pinned; }) > 40) {
        continue;
      }
      ASSERT_EQ(inventory.Pin(kClient, page->ref).miss, MissCause::kNone);
      page->pinned = true;
      page->candidate.last_used_ns = absl::ToUnixNanos(clock_.Now());
    } else if (action < 9) {
      if (!page->pinned) continue;
      ASSERT_EQ(inventory.Unpin(kClient, page->slab), absl::OkStatus());
      page->pinned = false;
    } else if (!page->pinned) {
      inventory.Drop(kClient, page->ref);
      pages.erase(pages.begin() + (page - pages.data()));
    }
  }
  EXPECT_GT(evictions, 100);
}

TEST_P(EvictionConformance, APinnedPageStaysHoweverLowItsValue) {
  Inventory inventory = MakeInventory({1, 0.01});
  Publish(inventory, TestPage(0), 1);
  const auto pin = inventory.Pin(kClient, TestPage(0));
  ASSERT_EQ(pin.miss, MissCause::kNone);
  clock_.Advance(absl::Minutes(1));
  for (std::uint32_t i = 1; i < 3 * kSlabs; ++i) Publish(inventory, TestPage(i), 1000);
  EXPECT_EQ(inventory.Pin(kClient, TestPage(0)).slab.slab, pin.slab.slab);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(inventory.Unpin(kClient, pin.slab.slab), absl::OkStatus());
  }
  for (std::uint32_t i = 0; i < 2 * kSlabs; ++i) {
    clock_.Advance(absl::Minutes(1));
    Publish(inventory, TestPage(1000 + i), 1000);
  }
  EXPECT_EQ(inventory.Pin(kClient, TestPage(0)).miss, MissCause::kEvicted);
}

TEST_P(EvictionConformance, AboveTheHighMarkPagesLeaveAFewATurnUntilTheLowMark) {
  Inventory inventory = MakeInventory({0.75, 0.5});
  for (std::uint32_t i = 0; i < kSlabs * 3 / 4; ++i) Publish(inventory, TestPage(i), 5);
  EXPECT_GT(inventory.EvictInBackground(4), clock_.Now());
  EXPECT_EQ(inventory.counts().published_pages, kSlabs * 3 / 4);  // at the mark, not above it
  Publish(inventory, TestPage(1000), 5);
  int turns = 1;
  while (inventory.EvictInBackground(4) == absl::InfinitePast()) {
    EXPECT_EQ(inventory.counts().published_pages, kSlabs * 3 / 4 + 1 - 4 * turns);
    ++turns;
  }
  EXPECT_EQ(inventory.counts().used_bytes, kSlabs * kBytes / 2);
  EXPECT_EQ(Evictions(inventory, EvictionCause::kWatermark), kSlabs / 4 + 1);
  Publish(inventory, TestPage(1001), 5);
  EXPECT_GT(inventory.EvictInBackground(4), clock_.Now());  // below the high mark again
  EXPECT_EQ(inventory.counts().used_bytes, kSlabs * kBytes / 2 + kBytes);
}

TEST_P(EvictionConformance, InTheBackgroundTheLowestOfAllSizesLeaves) {
  Inventory inventory = MakeInventory({0.5, 0.01});
  std::uint32_t next = 0;
  for (const std::uint64_t bytes : {2 * kBytes, kBytes, 4 * kBytes}) {  // worth ever more
    for (int i = 0; i < 5; ++i) {
      clock_.Advance(absl::Seconds(1));
      Publish(inventory, TestPage(next), 1 << next, bytes);
      ++next;
    }
  }
  inventory.EvictInBackground(7);
  for (std::uint32_t i = 0; i < next; ++i) {
    EXPECT_EQ(inventory.Pin(kClient, TestPage(i)).miss,
              i < 7 ? MissCause::kEvicted : MissCause::kNone);
  }
}

TEST_P(EvictionConformance, WithNothingThatMayLeaveTheMarksAskForNoFurtherTurn) {
  Inventory inventory = MakeInventory({0.5, 0.25});
  ASSERT_TRUE(inventory.Lease(kClient, kSlabs, kBytes).ok());
  EXPECT_EQ(inventory.EvictInBackground(4), absl::InfiniteFuture());
}

INSTANTIATE_TEST_SUITE_P(Policies, EvictionConformance,
                         ::testing::Values("lru", "score", "aged-score:10s", "ttl:1000h"),
                         [](const auto& info) {
                           const std::string text = info.param;
                           std::string name = text.substr(0, text.find(':'));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(TimeToLiveTest, APageLeavesWhenItsTimeHasPassedThoughThereIsRoomAndItIsUsed) {
  FakeClock clock;
  Inventory inventory(Arena({4096}, 4096), TimeToLive(absl::Minutes(5)), {1, 1}, clock);
  inventory.AddClient(kClient, GroupId(1));
  EXPECT_EQ(inventory.EvictInBackground(4), absl::InfiniteFuture());
  const auto leased = inventory.Lease(kClient, 1, 256);
  ASSERT_EQ(leased.status(), absl::OkStatus());
  const SlabId slab = leased->front().slab;
  ASSERT_EQ(inventory.Publish(kClient, slab, TestHeader(TestPage(1), 1, 256)), absl::OkStatus());
  const absl::Time expires = clock.Now() + absl::Minutes(5);
  EXPECT_EQ(inventory.EvictInBackground(4), expires);
  clock.Advance(absl::Minutes(5) - absl::Nanoseconds(1));
  EXPECT_EQ(inventory.Pin(kClient, TestPage(1)).miss, MissCause::kNone);
  ASSERT_EQ(inventory.Unpin(kClient, slab), absl::OkStatus());
  EXPECT_EQ(inventory.EvictInBackground(4), expires);
  clock.Advance(absl::Nanoseconds(1));
  EXPECT_EQ(inventory.EvictInBackground(4), absl::InfiniteFuture());
  EXPECT_EQ(inventory.Pin(kClient, TestPage(1)).miss, MissCause::kEvicted);
  EXPECT_EQ(inventory.counts().evictions_total[static_cast<int>(EvictionCause::kExpired)], 1);
}

}  // namespace
}  // namespace pinboard::cache_service
