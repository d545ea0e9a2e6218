// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// On which thread a store works: that of a caller who waits anyway, or its own.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "cache_service/remote_page_store.h"
#include "tests/cache_service/keyed_service.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/forwarding_fabric.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::cache_service {
namespace {

/// Counts what is sent on the thread that made it.
class CountingFabric final : public transport::ForwardingFabric {
 public:
  CountingFabric(std::unique_ptr<transport::Fabric> fabric, std::atomic<int>& sent_here)
      : ForwardingFabric(std::move(fabric)), sent_here_(sent_here) {}

  void Send(transport::PeerId peer, std::uint8_t type, absl::Span<const std::byte> payload,
            Done done) override {
    if (std::this_thread::get_id() == maker_) ++sent_here_;
    ForwardingFabric::Send(peer, type, payload, std::move(done));
  }

 private:
  const std::thread::id maker_ = std::this_thread::get_id();
  std::atomic<int>& sent_here_;
};

class WaitingCallersTest : public ::testing::Test {
 protected:
  std::unique_ptr<PageStore> Connect(MemoryRegistrar registrar = nullptr) {
    auto store = ConnectPageStore(
        [this]() -> absl::StatusOr<std::unique_ptr<transport::Fabric>> {
          return std::make_unique<CountingFabric>(*transport::MakeUcxFabric(), sent_here_);
        },
        {service_.address()},
        {.group = 1,
         .name = "test",
         .credentials = Alpha(),
         .register_memory = std::move(registrar)});
    EXPECT_EQ(store.status(), absl::OkStatus());
    sent_here_ = 0;
    return *std::move(store);
  }

  KeyedService service_{64, kTwoTenants, ""};
  std::atomic<int> sent_here_ = 0;
};

TEST_F(WaitingCallersTest, OneWhoFetchesAgainAndAgainSendsForItself) {
  const auto store = Connect();
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  // The store's own thread has the fabric until it sees that calls follow each other.
  const absl::Time give_up = Soon();
  while (sent_here_ == 0) {
    ASSERT_LT(absl::Now(), give_up);
    ASSERT_EQ(FetchTestPage(*store, TestPage(1)).pin.status(), absl::OkStatus());
  }
}

TEST_F(WaitingCallersTest, OneWhoLeasesAgainAndAgainSendsForItself) {
  const auto store = Connect();
  const absl::Time give_up = Soon();
  while (sent_here_ == 0) {
    ASSERT_LT(absl::Now(), give_up);
    ASSERT_EQ(store->Lease(1, kTestPageBytes, Soon()).status(), absl::OkStatus());
  }
}

TEST_F(WaitingCallersTest, OneWhoPublishesSendsForItselfWhereNobodyDrives) {
  const auto store = Connect();
  const absl::Time give_up = Soon();
  bool sent_here = false;
  for (std::uint32_t generation = 1; !sent_here; ++generation) {
    ASSERT_LT(absl::Now(), give_up);
    auto leases = store->Lease(1, kTestPageBytes, Soon());
    ASSERT_EQ(leases.status(), absl::OkStatus());
    const PageRef page = TestPage(1, generation);
    FillTestPage(page, leases->front().memory());
    sent_here_ = 0;
    store->Publish(*std::move(leases), {TestHeader(page)});
    sent_here = sent_here_ > 0;
    const FetchResult fetched = FetchTestPage(*store, page);
    ASSERT_EQ(fetched.pin.status(), absl::OkStatus());
    ASSERT_TRUE(HasTestBytes(page, fetched.pin->bytes()));
  }
}

TEST_F(WaitingCallersTest, NobodyWaitsWhileMemoryIsRegistered) {
  const std::thread::id here = std::this_thread::get_id();
  std::atomic<int> registered = 0;
  std::atomic<int> registered_here = 0;
  const auto store =
      Connect([&](absl::Span<std::byte>) -> absl::StatusOr<std::unique_ptr<MemoryRegistration>> {
        ++registered;
        if (std::this_thread::get_id() == here) ++registered_here;
        return std::make_unique<MemoryRegistration>();
      });
  const int at_first = registered;
  registered_here = 0;
  // Calls that follow each other, and need more and more segments.
  std::vector<std::vector<PageLease>> held;
  for (int i = 0; i < 32; ++i) {
    auto leases = store->Lease(3, kTestPageBytes, Soon());
    ASSERT_EQ(leases.status(), absl::OkStatus());
    held.push_back(*std::move(leases));
  }
  EXPECT_GT(registered, at_first);
  EXPECT_EQ(registered_here, 0);
  EXPECT_EQ(sent_here_, 0);
}

}  // namespace
}  // namespace pinboard::cache_service
