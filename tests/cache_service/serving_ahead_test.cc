// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Leases that a store has before it is asked for them: from a service, and what becomes of them.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "cache_service/client/leases_ahead.h"
#include "tests/cache_service/loopback_service.h"
#include "tests/cache_service/test_pages.h"

namespace pinboard::cache_service {
namespace {

constexpr int kAhead = 2;  // as many as a store may have
constexpr int kArenaSlabs = kAhead * static_cast<int>(LeasesAhead::kShare);

class ServingAheadTest : public ::testing::TestWithParam<bool> {
 protected:
  ServingAheadTest() { service_.hub().RefuseDirectMapping(GetParam()); }

  double Asked() const {
    return service_.Metric("pinboard_service_request_seconds_count{operation=\"lease_ahead\"}");
  }
  /// Leases again and again until the service has been asked ahead `times` more.
  void LeaseUntilAsked(PageStore& store, int times) {
    const double enough = Asked() + times;
    const absl::Time give_up = Soon();
    while (Asked() < enough) {
      ASSERT_LT(absl::Now(), give_up);
      ASSERT_EQ(store.Lease(kAhead, kTestPageBytes, Soon()).status(), absl::OkStatus());
    }
  }

  LoopbackService service_{kArenaSlabs * kTestPageBytes};
};

TEST_P(ServingAheadTest, PagesOfLeasesThatFollowEachOtherComeBackWhole) {
  const auto store = service_.Connect(1);
  std::uint32_t pages = 0;
  const absl::Time give_up = Soon();
  while (Asked() < 8) {
    ASSERT_LT(absl::Now(), give_up);
    auto leases = store->Lease(kAhead, kTestPageBytes, Soon());
    ASSERT_EQ(leases.status(), absl::OkStatus());
    ASSERT_EQ(leases->size(), kAhead);
    std::vector<PageHeader> headers;
    for (const PageLease& lease : *leases) {
      const PageRef page = TestPage(pages % 64, 1 + pages / 64);
      ++pages;
      FillTestPage(page, lease.memory());
      headers.push_back(TestHeader(page));
    }
    const std::vector<PageRef> published = {{headers[0].key, headers[0].generation},
                                            {headers[1].key, headers[1].generation}};
    store->Publish(*std::move(leases), headers);
    store->Fetch(published, Soon());
    for (const FetchResult& result : CollectFetched(*store)) {
      ASSERT_EQ(result.pin.status(), absl::OkStatus());
      EXPECT_TRUE(HasTestBytes(result.page, result.pin->bytes()));
    }
  }
}

TEST_P(ServingAheadTest, NothingStaysLeasedWhenNobodyLeases) {
  const auto store = service_.Connect(1);
  LeaseUntilAsked(*store, 3);
  const absl::Time give_up = Soon();
  while (service_.Metric("pinboard_service_slabs{state=\"leased\"}") > 0) {
    ASSERT_LT(absl::Now(), give_up);
  }
}

TEST_P(ServingAheadTest, AStoreIsNotRefusedForWhatItHasItself) {
  const auto store = service_.Connect(1);
  for (int i = 0; i < 20; ++i) {
    LeaseUntilAsked(*store, 1);
    const auto all = store->Lease(kArenaSlabs, kTestPageBytes, Soon());
    ASSERT_EQ(all.status(), absl::OkStatus());
  }
}

TEST_P(ServingAheadTest, TheyEndWithTheirService) {
  const auto store = service_.Connect(1);
  LeaseUntilAsked(*store, 3);
  service_.hub().Kill(service_.fabric());
  const absl::Time give_up = Soon();
  while (store->Lease(kAhead, kTestPageBytes, Soon()).ok()) ASSERT_LT(absl::Now(), give_up);
  absl::SleepFor(2 * LeasesAhead::kIdle);  // they would be given back
  EXPECT_TRUE(absl::IsUnavailable(store->Lease(kAhead, kTestPageBytes, Soon()).status()));
}

INSTANTIATE_TEST_SUITE_P(MappedOrCopied, ServingAheadTest, ::testing::Bool());

}  // namespace
}  // namespace pinboard::cache_service
