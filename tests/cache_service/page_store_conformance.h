// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every PageStore does, whatever is behind it. Included by one test program per world:
//
//   struct World {                       // what is behind the stores; created for each test
//     static World Make(std::size_t arena_bytes);
//     std::unique_ptr<PageStore> Connect(std::uint64_t group);
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Memory, PageStoreConformance, ::testing::Types<World>);
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "tests/cache_service/test_pages.h"
#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {

inline constexpr int kArenaPages = 16;

template <typename World>
class PageStoreConformance : public ::testing::Test {
 protected:
  std::unique_ptr<PageStore> Connect() { return world_.Connect(1); }

  World world_ = World::Make(kArenaPages * kTestPageBytes);
};

TYPED_TEST_SUITE_P(PageStoreConformance);

TYPED_TEST_P(PageStoreConformance, APublishedPageComesBackAsItWas) {
  const auto store = this->Connect();
  const PageRef page = TestPage(5, 2);
  ASSERT_EQ(PublishTestPage(*store, page, -40), absl::OkStatus());
  const FetchResult result = FetchTestPage(*store, page);
  ASSERT_EQ(result.pin.status(), absl::OkStatus());
  EXPECT_EQ(result.page, page);
  EXPECT_EQ(result.pin->bytes().size(), kTestPageBytes);
  EXPECT_TRUE(HasTestBytes(page, result.pin->bytes()));
  const PageHeader published = TestHeader(page, -40);
  EXPECT_EQ(result.header.bytes, published.bytes);
  EXPECT_EQ(result.header.tag, published.tag);
  EXPECT_EQ(result.header.mean_information, published.mean_information);
}

TYPED_TEST_P(PageStoreConformance, ABatchResolvesEachPageOnceAmongHitsAndMisses) {
  const auto store = this->Connect();
  std::vector<PageRef> pages;
  for (std::uint32_t i = 0; i < 10; ++i) {
    pages.push_back(TestPage(i));
    if (i % 2 != 0) continue;
    ASSERT_EQ(PublishTestPage(*store, pages[i]), absl::OkStatus());
  }
  store->Fetch(pages, Soon());
  std::map<std::uint32_t, bool> hit;
  for (const FetchResult& result : CollectFetched(*store)) {
    ASSERT_TRUE(hit.emplace(result.page.key.page, result.pin.ok()).second);
    if (result.pin.ok()) {
      EXPECT_TRUE(HasTestBytes(result.page, result.pin->bytes()));
    } else {
      EXPECT_TRUE(absl::IsNotFound(result.pin.status()));
    }
  }
  ASSERT_EQ(hit.size(), pages.size());
  for (const auto& [page, was_hit] : hit) EXPECT_EQ(was_hit, page % 2 == 0);
}

TYPED_TEST_P(PageStoreConformance, WithNothingAskedForThereIsNothingToWaitFor) {
  const auto store = this->Connect();
  EXPECT_FALSE(store->WaitFetched(absl::InfiniteFuture()));
  EXPECT_TRUE(store->TakeFetched().empty());
}

TYPED_TEST_P(PageStoreConformance, AnEarlierGenerationIsAMissAndCannotComeBack) {
  const auto store = this->Connect();
  ASSERT_EQ(PublishTestPage(*store, TestPage(1, 1)), absl::OkStatus());
  ASSERT_EQ(PublishTestPage(*store, TestPage(1, 2)), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(*store, TestPage(1, 1)).pin.status()));
  ASSERT_EQ(PublishTestPage(*store, TestPage(1, 1)), absl::OkStatus());  // late: ignored
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(*store, TestPage(1, 1)).pin.status()));
  const FetchResult current = FetchTestPage(*store, TestPage(1, 2));
  ASSERT_EQ(current.pin.status(), absl::OkStatus());
  EXPECT_TRUE(HasTestBytes(TestPage(1, 2), current.pin->bytes()));
}

TYPED_TEST_P(PageStoreConformance, TheLowestInformationLeavesFirstAndAmongEqualsTheOlder) {
  const auto store = this->Connect();
  // Information by page: 5, 4, 3, ..., with pages 10 and 11 equally low.
  for (std::uint32_t i = 0; i < kArenaPages; ++i) {
    const std::int32_t information = i == 10 || i == 11 ? -9 : 100 - static_cast<int>(i);
    ASSERT_EQ(PublishTestPage(*store, TestPage(i), information), absl::OkStatus());
  }
  std::vector<std::uint32_t> order;
  std::set<std::uint32_t> left;
  for (std::uint32_t i = 0; i < 4; ++i) {
    ASSERT_EQ(PublishTestPage(*store, TestPage(100 + i), 1000), absl::OkStatus());
    for (std::uint32_t page = 0; page < kArenaPages; ++page) {
      if (left.contains(page) || FetchTestPage(*store, TestPage(page)).pin.ok()) continue;
      left.insert(page);
      order.push_back(page);
    }
  }
  EXPECT_THAT(order, ::testing::ElementsAre(10, 11, 15, 14));
}

TYPED_TEST_P(PageStoreConformance, APinnedPageIsNeverOverwritten) {
  const auto store = this->Connect();
  const PageRef pinned = TestPage(0);
  ASSERT_EQ(PublishTestPage(*store, pinned, -1000), absl::OkStatus());
  FetchResult result = FetchTestPage(*store, pinned);
  ASSERT_EQ(result.pin.status(), absl::OkStatus());
  for (std::uint32_t i = 1; i < 3 * kArenaPages; ++i) {
    ASSERT_EQ(PublishTestPage(*store, TestPage(i), 0), absl::OkStatus());
  }
  EXPECT_TRUE(HasTestBytes(pinned, result.pin->bytes()));
  store->Drop({pinned});
  for (std::uint32_t i = 100; i < 100 + 2 * kArenaPages; ++i) {
    ASSERT_EQ(PublishTestPage(*store, TestPage(i), 0), absl::OkStatus());
  }
  EXPECT_TRUE(HasTestBytes(pinned, result.pin->bytes()));
}

TYPED_TEST_P(PageStoreConformance, ALeaseIsAllOrNothingAndARefusedOneTakesNoPageAway) {
  const auto store = this->Connect();
  const auto held = store->Lease(1, kTestPageBytes, Soon());
  ASSERT_EQ(PublishTestPage(*store, TestPage(2)), absl::OkStatus());
  const auto refused = store->Lease(kArenaPages, kTestPageBytes, Soon());
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_EQ(FetchTestPage(*store, TestPage(2)).pin.status(), absl::OkStatus());
  const auto granted = store->Lease(kArenaPages - 1, kTestPageBytes, Soon());
  ASSERT_EQ(granted.status(), absl::OkStatus());
  std::set<const std::byte*> places;
  for (const PageLease& lease : *granted) {
    EXPECT_EQ(lease.memory().size(), kTestPageBytes);
    EXPECT_TRUE(places.insert(lease.memory().data()).second);
  }
}

TYPED_TEST_P(PageStoreConformance, ALeaseOfTooManyOrTooFewIsRefused) {
  const auto store = this->Connect();
  for (const int count : {-1, kMostLeasedTogether + 1}) {
    EXPECT_EQ(store->Lease(count, kTestPageBytes, Soon()).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TYPED_TEST_P(PageStoreConformance, ALeaseDroppedUnpublishedGivesItsSlabBack) {
  const auto store = this->Connect();
  for (int i = 0; i < 3; ++i) {
    const auto leases = store->Lease(kArenaPages, kTestPageBytes, Soon());
    ASSERT_EQ(leases.status(), absl::OkStatus());
  }
}

TYPED_TEST_P(PageStoreConformance, ALeaseRightAfterAPublicationFindsThatPageEvictable) {
  const auto store = this->Connect();
  for (std::uint32_t round = 0; round < 5; ++round) {
    auto leases = store->Lease(kArenaPages, kTestPageBytes, Soon());
    ASSERT_EQ(leases.status(), absl::OkStatus());
    std::vector<PageHeader> headers;
    for (std::uint32_t i = 0; i < kArenaPages; ++i) {
      headers.push_back(TestHeader(TestPage(round * kArenaPages + i)));
      FillTestPage(TestPage(round * kArenaPages + i), (*leases)[i].memory());
    }
    store->Publish(*std::move(leases), headers);
  }
}

TYPED_TEST_P(PageStoreConformance, LeasesBeyondTheHeadersOfAPublicationAreGivenBack) {
  const auto store = this->Connect();
  auto leases = store->Lease(kArenaPages, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  FillTestPage(TestPage(1), leases->front().memory());
  store->Publish(*std::move(leases), {TestHeader(TestPage(1), 5)});
  EXPECT_EQ(store->Lease(kArenaPages - 1, kTestPageBytes, Soon()).status(), absl::OkStatus());
  EXPECT_EQ(FetchTestPage(*store, TestPage(1)).pin.status(), absl::OkStatus());
}

TYPED_TEST_P(PageStoreConformance, DroppedPagesAreMisses) {
  const auto store = this->Connect();
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  ASSERT_EQ(PublishTestPage(*store, TestPage(2)), absl::OkStatus());
  store->Drop({TestPage(1)});
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(*store, TestPage(1)).pin.status()));
  EXPECT_EQ(FetchTestPage(*store, TestPage(2)).pin.status(), absl::OkStatus());
}

TYPED_TEST_P(PageStoreConformance, DroppingAnEarlierGenerationSparesTheCurrentOne) {
  const auto store = this->Connect();
  ASSERT_EQ(PublishTestPage(*store, TestPage(1, 2)), absl::OkStatus());
  store->Drop({TestPage(1, 1)});
  EXPECT_EQ(FetchTestPage(*store, TestPage(1, 2)).pin.status(), absl::OkStatus());
}

TYPED_TEST_P(PageStoreConformance, ADroppedSequenceTakesItsPagesAndNoOthers) {
  const auto store = this->Connect();
  for (std::uint32_t i = 0; i < 4; ++i) {
    ASSERT_EQ(PublishTestPage(*store, TestPage(i, 1, 7)), absl::OkStatus());
    ASSERT_EQ(PublishTestPage(*store, TestPage(i, 1, 8)), absl::OkStatus());
  }
  store->DropSequence(7);
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(absl::IsNotFound(FetchTestPage(*store, TestPage(i, 1, 7)).pin.status()));
    EXPECT_EQ(FetchTestPage(*store, TestPage(i, 1, 8)).pin.status(), absl::OkStatus());
  }
}

TYPED_TEST_P(PageStoreConformance, AnotherRankOfTheGroupFetchesThePage) {
  const auto publisher = this->Connect();
  const auto reader = this->Connect();
  ASSERT_EQ(PublishTestPage(*publisher, TestPage(1)), absl::OkStatus());
  ASSERT_EQ(FetchTestPage(*publisher, TestPage(1)).pin.status(), absl::OkStatus());
  const FetchResult result = FetchTestPage(*reader, TestPage(1));
  ASSERT_EQ(result.pin.status(), absl::OkStatus());
  EXPECT_TRUE(HasTestBytes(TestPage(1), result.pin->bytes()));
}

TYPED_TEST_P(PageStoreConformance, PagesOfSeveralSizesShareTheArena) {
  const auto store = this->Connect();
  for (std::uint32_t i = 0; i < 2 * kArenaPages; ++i) {
    const std::size_t bytes = 1 + 1000 * (i % 4);
    ASSERT_EQ(PublishTestPage(*store, TestPage(i), 0, bytes), absl::OkStatus()) << bytes;
    const FetchResult result = FetchTestPage(*store, TestPage(i));
    ASSERT_EQ(result.pin.status(), absl::OkStatus());
    EXPECT_EQ(result.pin->bytes().size(), bytes);
    EXPECT_TRUE(HasTestBytes(TestPage(i), result.pin->bytes()));
  }
}

TYPED_TEST_P(PageStoreConformance, StatsCountPagesBytesAndMisses) {
  const auto store = this->Connect();
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  FetchTestPage(*store, TestPage(1));
  FetchTestPage(*store, TestPage(2));
  const PageStoreStats stats = store->stats();
  EXPECT_EQ(stats.pages_published, 1);
  EXPECT_EQ(stats.bytes_published, kTestPageBytes);
  EXPECT_EQ(stats.pages_fetched, 1);
  EXPECT_EQ(stats.bytes_fetched, kTestPageBytes);
  EXPECT_EQ(stats.misses, 1);
}

TYPED_TEST_P(PageStoreConformance, AStoreWithResultsThatNobodyTookCanBeDestroyed) {
  const auto store = this->Connect();
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  store->Fetch({TestPage(1), TestPage(1)}, Soon());
  EXPECT_TRUE(store->WaitFetched(Soon()));
}

/// Two ranks publish, fetch, pin, drop at random: whatever comes back is what was published.
TYPED_TEST_P(PageStoreConformance, NoRandomHistoryGivesAWrongByte) {
  std::mt19937 random(TestSeed());
  const std::unique_ptr<PageStore> stores[] = {this->Connect(), this->Connect()};
  std::vector<FetchResult> pins;
  std::map<std::uint32_t, std::uint32_t> generations;
  const auto draw = [&] {
    const std::uint32_t page = random() % 40;
    return TestPage(page, generations[page] - random() % 2);
  };
  int hits = 0;
  for (int step = 0; step < 400; ++step) {
    PageStore& store = *stores[random() % 2];
    const std::uint32_t page = step < 40 ? step : random() % 40;
    const auto action = step < 40 ? 0 : random() % 8;
    if (action < 3) {
      ASSERT_EQ(PublishTestPage(store, TestPage(page, ++generations[page]), random() % 100),
                absl::OkStatus());
    } else if (action == 3) {
      store.Drop({draw()});
    } else if (action == 4 && !pins.empty()) {
      pins.erase(pins.begin() + random() % pins.size());
    } else {
      store.Fetch({draw(), draw(), draw()}, Soon());
      for (FetchResult& result : CollectFetched(store)) {
        if (!result.pin.ok()) continue;
        ++hits;
        ASSERT_TRUE(HasTestBytes(result.page, result.pin->bytes()));
        if (pins.size() < 8) pins.push_back(std::move(result));
      }
    }
    for (const FetchResult& pin : pins) ASSERT_TRUE(HasTestBytes(pin.page, pin.pin->bytes()));
  }
  EXPECT_GT(hits, 0);
}

REGISTER_TYPED_TEST_SUITE_P(
    PageStoreConformance, APublishedPageComesBackAsItWas,
    ABatchResolvesEachPageOnceAmongHitsAndMisses, WithNothingAskedForThereIsNothingToWaitFor,
    AnEarlierGenerationIsAMissAndCannotComeBack,
    TheLowestInformationLeavesFirstAndAmongEqualsTheOlder, APinnedPageIsNeverOverwritten,
    ALeaseIsAllOrNothingAndARefusedOneTakesNoPageAway, ALeaseOfTooManyOrTooFewIsRefused,
    ALeaseDroppedUnpublishedGivesItsSlabBack, ALeaseRightAfterAPublicationFindsThatPageEvictable,
    LeasesBeyondTheHeadersOfAPublicationAreGivenBack, DroppedPagesAreMisses,
    DroppingAnEarlierGenerationSparesTheCurrentOne, ADroppedSequenceTakesItsPagesAndNoOthers,
    AnotherRankOfTheGroupFetchesThePage, PagesOfSeveralSizesShareTheArena,
    StatsCountPagesBytesAndMisses, AStoreWithResultsThatNobodyTookCanBeDestroyed,
    NoRandomHistoryGivesAWrongByte);

}  // namespace pinboard::cache_service
