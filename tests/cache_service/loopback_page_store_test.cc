// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The conformance suite with the service on another thread, and what only a loopback can break.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "cache_service/remote_page_store.h"
#include "tests/cache_service/loopback_service.h"
#include "tests/cache_service/page_store_conformance.h"

namespace pinboard::cache_service {
namespace {

template <bool mapped>
struct LoopbackWorld {
  static LoopbackWorld Make(std::size_t arena_bytes) {
    LoopbackWorld world{std::make_unique<LoopbackService>(arena_bytes)};
    world.service->hub().RefuseDirectMapping(!mapped);
    return world;
  }
  std::unique_ptr<PageStore> Connect(std::uint64_t group) const { return service->Connect(group); }
  std::unique_ptr<LoopbackService> service;
};

using Worlds = ::testing::Types<LoopbackWorld<true>, LoopbackWorld<false>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Loopback, PageStoreConformance, Worlds);

class LoopbackFaultTest : public ::testing::TestWithParam<bool> {
 protected:
  LoopbackFaultTest() { service_.hub().RefuseDirectMapping(GetParam()); }
  LoopbackService service_{kArenaPages * kTestPageBytes};
};

TEST_P(LoopbackFaultTest, AStalledServiceMeetsDeadlinesAndItsLateRepliesAreGivenBack) {
  const auto store = service_.Connect(1);
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  ASSERT_EQ(FetchTestPage(*store, TestPage(1)).pin.status(), absl::OkStatus());
  auto leases = store->Lease(1, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  FillTestPage(TestPage(2), leases->front().memory());
  service_.hub().Stall(service_.fabric(), true);
  store->Publish(*std::move(leases), {TestHeader(TestPage(2))});
  store->Fetch({TestPage(1), TestPage(2)}, absl::Now() + absl::Milliseconds(5));
  const auto results = CollectFetched(*store);
  ASSERT_EQ(results.size(), 2);
  for (const FetchResult& result : results) {
    EXPECT_TRUE(absl::IsDeadlineExceeded(result.pin.status()));
  }
  const auto late = store->Lease(1, kTestPageBytes, absl::Now() + absl::Milliseconds(5));
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
  service_.hub().Stall(service_.fabric(), false);
  EXPECT_EQ(FetchTestPage(*store, TestPage(2)).pin.status(), absl::OkStatus());
  const absl::Time give_up = Soon();
  while (!store->Lease(kArenaPages, kTestPageBytes, Soon()).ok()) ASSERT_LT(absl::Now(), give_up);
}

TEST_P(LoopbackFaultTest, AKilledServiceResolvesEachFetchOnce) {
  const auto store = service_.Connect(1);
  std::vector<PageRef> pages;
  for (std::uint32_t i = 0; i < 8; ++i) {
    pages.push_back(TestPage(i));
    ASSERT_EQ(PublishTestPage(*store, pages[i]), absl::OkStatus());
  }
  ASSERT_EQ(FetchTestPage(*store, pages[7]).pin.status(), absl::OkStatus());
  auto leases = store->Lease(2, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  service_.hub().Stall(service_.fabric(), true);
  store->Fetch(pages, absl::InfiniteFuture());
  service_.hub().Kill(service_.fabric());
  const auto results = CollectFetched(*store);
  EXPECT_EQ(results.size(), 8);
  for (const FetchResult& result : results) {
    EXPECT_TRUE(absl::IsUnavailable(result.pin.status())) << result.pin.status();
  }
  for (const PageLease& lease : *leases) FillTestPage(TestPage(9), lease.memory());
}

// Its pins outlasted the goodbyes, so the service kept the earlier connection's.
TEST_P(LoopbackFaultTest, WhatNobodyTookOfAnEarlierConnectionIsGivenBackAtTheEnd) {
  auto store = service_.Connect(1);
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  store->Fetch({TestPage(1)}, Soon());
  ASSERT_TRUE(store->WaitFetched(Soon()));
  service_.hub().Cut(service_.fabric());
  const absl::Time give_up = Soon();
  while (store->stats().connections < 2) {
    ASSERT_LT(absl::Now(), give_up);
    absl::SleepFor(absl::Milliseconds(1));
  }
  store.reset();
  service_.Await("pinboard_service_pins", 0);
  service_.Await("pinboard_service_pages", 0);
}

INSTANTIATE_TEST_SUITE_P(MappedOrCopied, LoopbackFaultTest, ::testing::Bool());

/// Stands in for a device: remembers what memory it was told of and has not let go of.
class FakeDevice {
 public:
  MemoryRegistrar registrar() {
    return
        [this](
            absl::Span<std::byte> memory) -> absl::StatusOr<std::unique_ptr<MemoryRegistration>> {
          if (!status.ok()) return status;
          return std::make_unique<Registration>(*this, memory);
        };
  }
  bool Reaches(absl::Span<const std::byte> memory) const {
    return std::any_of(registered.begin(), registered.end(), [&](const auto& range) {
      return range.data() <= memory.data() &&
             memory.data() + memory.size() <= range.data() + range.size();
    });
  }

  absl::Status status;
  std::vector<absl::Span<std::byte>> registered;

 private:
  class Registration final : public MemoryRegistration {
   public:
    Registration(FakeDevice& device, absl::Span<std::byte> memory)
        : device_(device), memory_(memory) {
      device_.registered.push_back(memory);
    }
    ~Registration() override {
      memory_.back() ^= std::byte{1};  // it is still mapped
      std::erase_if(device_.registered,
                    [&](const auto& range) { return range.data() == memory_.data(); });
    }

   private:
    FakeDevice& device_;
    const absl::Span<std::byte> memory_;
  };
};

class RegisteredMemoryTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<PageStore>> Connect() {
    return service_.TryConnect(
        {.group = 1, .name = "test", .register_memory = device_.registrar()});
  }
  LoopbackService service_{kArenaPages * kTestPageBytes};
  FakeDevice device_;
};

TEST_F(RegisteredMemoryTest, LeasesAndPinsLieInWhatADeviceReachesUntilTheStoreEnds) {
  auto store = Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  EXPECT_EQ(device_.registered.size(), 2);  // the service has as many segments
  auto leases = (*store)->Lease(kArenaPages, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  for (const PageLease& lease : *leases) EXPECT_TRUE(device_.Reaches(lease.memory()));
  leases->clear();
  ASSERT_EQ(PublishTestPage(**store, TestPage(1)), absl::OkStatus());
  {
    const FetchResult fetched = FetchTestPage(**store, TestPage(1));
    ASSERT_EQ(fetched.pin.status(), absl::OkStatus());
    EXPECT_TRUE(device_.Reaches(fetched.pin->bytes()));
  }
  store->reset();
  EXPECT_TRUE(device_.registered.empty());
}

TEST_F(RegisteredMemoryTest, AMappingThatOutlivesItsConnectionStaysRegistered) {
  auto store = Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  auto leases = (*store)->Lease(1, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  service_.hub().Kill(service_.fabric());
  while ((*store)->Lease(1, kTestPageBytes, Soon()).ok()) {
  }
  EXPECT_TRUE(device_.Reaches(leases->front().memory()));
}

TEST_F(RegisteredMemoryTest, ThereIsNoConnectionWithoutIt) {
  device_.status = absl::ResourceExhaustedError("too much is pinned");
  EXPECT_EQ(Connect().status(), device_.status);
  device_.status = absl::OkStatus();
  service_.hub().RefuseDirectMapping(true);
  EXPECT_TRUE(absl::IsFailedPrecondition(Connect().status()));
  service_.hub().RefuseDirectMapping(false);
  EXPECT_EQ(Connect().status(), absl::OkStatus());
}

}  // namespace
}  // namespace pinboard::cache_service
