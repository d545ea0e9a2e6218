// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A rank with two real services, of which the first is killed or stopped under it.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/cache_service/daemon.h"
#include "tests/cache_service/test_pages.h"

namespace pinboard::cache_service {
namespace {

constexpr std::size_t kArenaBytes = 64 * kTestPageBytes;

/// Publishes pages and fetches them again; each call ends by its deadline, and no byte is wrong.
class Rank {
 public:
  explicit Rank(std::unique_ptr<PageStore> store) : store_(std::move(store)) {}

  /// Until a page that was published now is also at `where`.
  void WorkUntilPagesAreAt(PageStore& where) {
    const absl::Time give_up = Soon();
    while (true) {
      ASSERT_LT(absl::Now(), give_up);
      const PageRef page = TestPage(++last_page_);
      if (PutAndGet(page) && FetchTestPage(where, page).pin.ok()) return;
    }
  }

 private:
  static constexpr absl::Duration kDeadline = absl::Seconds(1);

  bool PutAndGet(const PageRef& page) {
    const absl::Time deadline = SteadyNow() + kDeadline;
    auto leases = store_->Lease(1, kTestPageBytes, deadline);
    if (leases.ok()) {
      FillTestPage(page, leases->front().memory());
      store_->Publish(*std::move(leases), {TestHeader(page)});
    }
    store_->Fetch({page}, deadline);
    bool got = false;
    // Without a deadline of its own: the store keeps to that of the fetch.
    while (store_->WaitFetched(absl::InfiniteFuture())) {
      for (const FetchResult& fetched : store_->TakeFetched()) {
        got = fetched.pin.ok();
        EXPECT_TRUE(!got || HasTestBytes(page, fetched.pin->bytes())) << page.key.page;
      }
    }
    return got;
  }

  std::unique_ptr<PageStore> store_;
  std::uint32_t last_page_ = 0;
};

class SeveralDaemonsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store =
        ConnectPageStore([] { return transport::MakeUcxFabric(); },
                         {first_->address(), second_.address()}, {.group = 1, .name = "test"});
    ASSERT_EQ(store.status(), absl::OkStatus());
    rank_ = std::make_unique<Rank>(*std::move(store));
  }
  static std::unique_ptr<PageStore> StoreAt(const std::string& address) {
    auto store = ConnectOverUcx(address);
    EXPECT_EQ(store.status(), absl::OkStatus());
    return *std::move(store);
  }

  std::unique_ptr<Daemon> first_ = std::make_unique<Daemon>(kArenaBytes);
  Daemon second_{kArenaBytes};
  std::unique_ptr<Rank> rank_;
};

TEST_F(SeveralDaemonsTest, AKilledOneIsReplacedByTheNextAndUsedAgainOnceItIsBack) {
  const std::string address = first_->address();
  rank_->WorkUntilPagesAreAt(*StoreAt(address));
  first_.reset();
  rank_->WorkUntilPagesAreAt(*StoreAt(second_.address()));
  first_ = std::make_unique<Daemon>(kArenaBytes, address);
  ASSERT_EQ(first_->address(), address);
  rank_->WorkUntilPagesAreAt(*StoreAt(address));
}

TEST_F(SeveralDaemonsTest, AStoppedOneIsReplacedByTheNextAndUsedAgainOnceItGoesOn) {
  const auto at_first = StoreAt(first_->address());
  rank_->WorkUntilPagesAreAt(*at_first);
  first_->process().Signal(SIGSTOP);
  rank_->WorkUntilPagesAreAt(*StoreAt(second_.address()));
  first_->process().Signal(SIGCONT);
  rank_->WorkUntilPagesAreAt(*at_first);
}

}  // namespace
}  // namespace pinboard::cache_service
