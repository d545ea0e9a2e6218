// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/support/memory_page_store.h"

#include <gtest/gtest.h>

#include "tests/cache_service/page_store_conformance.h"

namespace pinboard::cache_service {
namespace {

struct MemoryWorld {
  static MemoryWorld Make(std::size_t arena_bytes) {
    return {std::make_unique<MemoryPages>(arena_bytes)};
  }
  std::unique_ptr<PageStore> Connect(std::uint64_t) const {
    return std::make_unique<MemoryPageStore>(*pages);
  }
  std::unique_ptr<MemoryPages> pages;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, PageStoreConformance, ::testing::Types<MemoryWorld>);

TEST(MemoryPageStoreTest, HeldResultsResolveWhenReleased) {
  MemoryPages pages;
  MemoryPageStore store(pages);
  ASSERT_EQ(PublishTestPage(store, TestPage(1)), absl::OkStatus());
  pages.HoldResults(true);
  store.Fetch({TestPage(1)}, absl::InfiniteFuture());
  EXPECT_TRUE(store.TakeFetched().empty());
  EXPECT_FALSE(store.WaitFetched(absl::Now()));
  pages.HoldResults(false);
  EXPECT_TRUE(store.WaitFetched(Soon()));
  EXPECT_EQ(store.TakeFetched().size(), 1);
}

TEST(MemoryPageStoreTest, HeldResultsResolveAtTheirDeadline) {
  MemoryPages pages;
  MemoryPageStore store(pages);
  ASSERT_EQ(PublishTestPage(store, TestPage(1)), absl::OkStatus());
  pages.HoldResults(true);
  store.Fetch({TestPage(1)}, absl::Now() + absl::Milliseconds(5));
  const auto results = CollectFetched(store);
  ASSERT_EQ(results.size(), 1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(results[0].pin.status()));
}

TEST(MemoryPageStoreTest, KnobsFailLeasesLoseAndCorruptPages) {
  MemoryPages pages;
  MemoryPageStore store(pages);
  pages.FailLeases(absl::ResourceExhaustedError("full"));
  EXPECT_TRUE(absl::IsResourceExhausted(PublishTestPage(store, TestPage(1))));
  pages.FailLeases(absl::OkStatus());
  ASSERT_EQ(PublishTestPage(store, TestPage(1)), absl::OkStatus());
  ASSERT_TRUE(pages.Corrupt(TestPage(1).key));
  const FetchResult corrupted = FetchTestPage(store, TestPage(1));
  EXPECT_FALSE(HasTestBytes(TestPage(1), corrupted.pin->bytes()));
  EXPECT_TRUE(pages.Lose(TestPage(1).key));
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(store, TestPage(1)).pin.status()));
}

TEST(MemoryPageStoreTest, WhileTheServiceIsGoneEverythingIsUnavailable) {
  MemoryPages pages;
  MemoryPageStore store(pages);
  ASSERT_EQ(PublishTestPage(store, TestPage(1)), absl::OkStatus());
  pages.HoldResults(true);
  store.Fetch({TestPage(1)}, absl::InfiniteFuture());
  pages.SetGone(true);
  const auto results = CollectFetched(store);
  ASSERT_EQ(results.size(), 1);
  EXPECT_TRUE(absl::IsUnavailable(results[0].pin.status()));
  EXPECT_TRUE(absl::IsUnavailable(store.Lease(1, 64, Soon()).status()));
  pages.HoldResults(false);
  pages.SetGone(false);
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(store, TestPage(1)).pin.status()));
}

}  // namespace
}  // namespace pinboard::cache_service
