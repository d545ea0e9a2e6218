// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A store over several services of which some fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/metrics.h"
#include "cache_service/protocol/send_message.h"
#include "cache_service/remote_page_store.h"
#include "cache_service/server/server.h"
#include "tests/cache_service/test_pages.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;

/// A real one on a thread of its own.
class Service {
 public:
  Service(transport::LoopbackHub& hub, const std::string& address) : metrics_(NewMetricRegistry()) {
    auto fabric = hub.MakeFabric();
    fabric_ = fabric.get();
    ServerOptions options;
    options.listen = address;
    options.arena_bytes = 64 * kTestPageBytes;
    options.segment_bytes = options.arena_bytes;
    auto server = Server::Create(std::move(fabric), options, *metrics_);
    EXPECT_EQ(server.status(), absl::OkStatus());
    server_ = *std::move(server);
    thread_ = std::thread([this] { server_->Run(); });
  }
  ~Service() {
    server_->Stop();
    thread_.join();
  }
  transport::Fabric& fabric() { return *fabric_; }

 private:
  const std::unique_ptr<MetricRegistry> metrics_;
  transport::Fabric* fabric_ = nullptr;  // the server's
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

/// Greets with `welcome` and refuses each lease as a service that is draining.
class DrainingService {
 public:
  DrainingService(transport::LoopbackHub& hub, const std::string& address,
                  const Welcome& welcome = {.version = 1})
      : fabric_(hub.MakeFabric()) {
    fabric_->OnMessage(static_cast<std::uint8_t>(MessageType::kHello),
                       [this, welcome](transport::PeerId peer, absl::Span<const std::byte>) {
                         SendMessage(*fabric_, peer, 0, welcome);
                         SendMessage(*fabric_, peer, 0, Segments{});
                       });
    fabric_->OnMessage(static_cast<std::uint8_t>(MessageType::kLease),
                       [this](transport::PeerId peer, absl::Span<const std::byte> bytes) {
                         ++leases_asked_;
                         SendMessage(
                             *fabric_, peer, DecodeMessage<LeaseRequest>(bytes)->request,
                             LeaseReply{static_cast<std::uint8_t>(absl::StatusCode::kUnavailable),
                                        "this service is draining",
                                        {}});
                       });
    EXPECT_EQ(fabric_->Listen(address).status(), absl::OkStatus());
    thread_ = std::thread([this] {
      while (!stop_) fabric_->WaitUntil(absl::InfiniteFuture());
    });
  }
  ~DrainingService() {
    stop_ = true;
    fabric_->Wake();
    thread_.join();
  }
  int leases_asked() const { return leases_asked_; }

 private:
  std::unique_ptr<transport::Fabric> fabric_;
  std::atomic<int> leases_asked_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class SeveralServicesTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<PageStore>> Connect(const std::vector<std::string>& addresses) {
    return ConnectPageStore(
        [this]() -> absl::StatusOr<std::unique_ptr<transport::Fabric>> {
          return hub_.MakeFabric();
        },
        addresses, {.group = 1, .name = "test"});
  }
  std::unique_ptr<PageStore> MustConnect(const std::vector<std::string>& addresses) {
    auto store = Connect(addresses);
    EXPECT_EQ(store.status(), absl::OkStatus());
    return *std::move(store);
  }
  /// Publishes pages until one is at `where`, as another client of the group sees.
  void AwaitPublishedAt(PageStore& store, PageStore& where) {
    const absl::Time give_up = Soon();
    while (true) {
      ASSERT_LT(absl::Now(), give_up);
      const PageRef page = TestPage(++last_page_);
      if (!PublishTestPage(store, page).ok()) continue;
      if (FetchTestPage(where, page).pin.ok()) break;
    }
    ExpectReadable(store, last_page_);
  }
  static void ExpectReadable(PageStore& store, std::uint32_t number) {
    const FetchResult fetched = FetchTestPage(store, TestPage(number));
    ASSERT_EQ(fetched.pin.status(), absl::OkStatus());
    EXPECT_TRUE(HasTestBytes(TestPage(number), fetched.pin->bytes()));
  }

  transport::LoopbackHub hub_;
  std::uint32_t last_page_ = 0;
};

TEST_F(SeveralServicesTest, TheFirstHasThePagesWhileItIsWell) {
  Service a(hub_, "a:1");
  Service b(hub_, "b:1");
  const auto store = MustConnect({"a:1", "b:1"});
  const auto at_a = MustConnect({"a:1"});
  const auto at_b = MustConnect({"b:1"});
  for (std::uint32_t page = 0; page < 20; ++page) {
    ASSERT_EQ(PublishTestPage(*store, TestPage(page)), absl::OkStatus());
    ExpectReadable(*store, page);
    ExpectReadable(*at_a, page);
    EXPECT_TRUE(absl::IsNotFound(FetchTestPage(*at_b, TestPage(page)).pin.status()));
  }
}

TEST_F(SeveralServicesTest, WhenTheFirstDiesTheSecondTakesOverAndLaterTheFirstAgain) {
  auto a = std::make_unique<Service>(hub_, "a:1");
  Service b(hub_, "b:1");
  const auto store = MustConnect({"a:1", "b:1"});
  const auto at_b = MustConnect({"b:1"});
  AwaitPublishedAt(*store, *store);
  hub_.Kill(a->fabric());
  a.reset();
  AwaitPublishedAt(*store, *at_b);
  a = std::make_unique<Service>(hub_, "a:1");
  const auto at_a = MustConnect({"a:1"});
  AwaitPublishedAt(*store, *at_a);
}

TEST_F(SeveralServicesTest, AFirstThatIsSilentIsLeftForTheSecondAndUsedAgainOnceItAnswers) {
  Service a(hub_, "a:1");
  Service b(hub_, "b:1");
  const auto store = MustConnect({"a:1", "b:1"});
  const auto at_a = MustConnect({"a:1"});
  const auto at_b = MustConnect({"b:1"});
  AwaitPublishedAt(*store, *at_a);
  hub_.Stall(a.fabric(), true);
  // Neither waits for its deadline.
  store->Fetch({TestPage(last_page_)}, Soon());
  EXPECT_TRUE(absl::IsUnavailable(store->Lease(1, kTestPageBytes, Soon()).status()));
  ASSERT_TRUE(store->WaitFetched(Soon()));
  EXPECT_TRUE(absl::IsUnavailable(store->TakeFetched().front().pin.status()));
  AwaitPublishedAt(*store, *at_b);
  hub_.Stall(a.fabric(), false);
  AwaitPublishedAt(*store, *at_a);
}

// What is granted too late is given back.
TEST_F(SeveralServicesTest, NothingStaysLeasedAtOneThatWasSilent) {
  Service a(hub_, "a:1");
  Service b(hub_, "b:1");
  const auto store = MustConnect({"a:1", "b:1"});
  hub_.Stall(a.fabric(), true);
  EXPECT_TRUE(absl::IsUnavailable(store->Lease(48, kTestPageBytes, Soon()).status()));
  hub_.Stall(a.fabric(), false);
  const auto at_a = MustConnect({"a:1"});
  const absl::Time give_up = Soon();
  while (!at_a->Lease(64, kTestPageBytes, Soon()).ok()) ASSERT_LT(absl::Now(), give_up);
}

TEST_F(SeveralServicesTest, WhatOneHasLeasedIsPublishedThereThoughAnotherIsAskedNow) {
  auto a = std::make_unique<Service>(hub_, "a:1");
  Service b(hub_, "b:1");
  const auto store = MustConnect({"a:1", "b:1"});
  hub_.Kill(a->fabric());
  a.reset();
  const auto at_b = MustConnect({"b:1"});
  AwaitPublishedAt(*store, *at_b);
  auto leases = store->Lease(1, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  a = std::make_unique<Service>(hub_, "a:1");
  const auto at_a = MustConnect({"a:1"});
  AwaitPublishedAt(*store, *at_a);
  const PageRef page = TestPage(++last_page_);
  FillTestPage(page, leases->front().memory());
  store->Publish(*std::move(leases), {TestHeader(page)});
  ExpectReadable(*at_b, page.key.page);
}

TEST_F(SeveralServicesTest, OneThatDrainsIsAskedForNoFurtherLease) {
  DrainingService a(hub_, "a:1");
  Service b(hub_, "b:1");
  const auto store = MustConnect({"a:1", "b:1"});
  const auto at_b = MustConnect({"b:1"});
  EXPECT_TRUE(absl::IsUnavailable(store->Lease(1, kTestPageBytes, Soon()).status()));
  AwaitPublishedAt(*store, *at_b);
  const int asked = a.leases_asked();
  for (int i = 0; i < 10; ++i)
    ASSERT_EQ(PublishTestPage(*store, TestPage(100 + i)), absl::OkStatus());
  EXPECT_EQ(a.leases_asked(), asked);
}

TEST_F(SeveralServicesTest, ASingleOneIsUsedInAnyState) {
  DrainingService a(hub_, "a:1");
  const auto store = MustConnect({"a:1"});
  for (int i = 0; i < 2; ++i) {
    const absl::Status refused = store->Lease(1, kTestPageBytes, Soon()).status();
    EXPECT_THAT(std::string(refused.message()), HasSubstr("is draining")) << refused;
  }
}

TEST_F(SeveralServicesTest, TheSecondServesWhereTheFirstIsNotThereAtTheStart) {
  Service b(hub_, "b:1");
  const auto store = MustConnect({"a:1", "b:1"});
  AwaitPublishedAt(*store, *MustConnect({"b:1"}));
  Service a(hub_, "a:1");
  AwaitPublishedAt(*store, *MustConnect({"a:1"}));
}

TEST_F(SeveralServicesTest, ADropReachesTheServiceThatHasThePage) {
  Service a(hub_, "a:1");
  Service b(hub_, "b:1");
  const auto store = MustConnect({"a:1", "b:1"});
  const auto at_a = MustConnect({"a:1"});
  const auto at_b = MustConnect({"b:1"});
  hub_.Stall(a.fabric(), true);
  AwaitPublishedAt(*store, *at_b);
  hub_.Stall(a.fabric(), false);
  const std::uint32_t page = last_page_;
  AwaitPublishedAt(*store, *at_a);
  store->Drop({TestPage(page)});
  const absl::Time give_up = Soon();
  while (FetchTestPage(*at_b, TestPage(page)).pin.ok()) ASSERT_LT(absl::Now(), give_up);
}

TEST_F(SeveralServicesTest, WhereNoneAnswersEachIsNamed) {
  const absl::Status none = Connect({"a:1", "b:1"}).status();
  EXPECT_TRUE(absl::IsUnavailable(none)) << none;
  EXPECT_THAT(std::string(none.message()), HasSubstr("a:1"));
  EXPECT_THAT(std::string(none.message()), HasSubstr("b:1"));
  EXPECT_TRUE(absl::IsInvalidArgument(Connect({}).status()));
}

TEST_F(SeveralServicesTest, ARefusalEndsTheSearch) {
  DrainingService a(hub_, "a:1", {.version = 2});
  Service b(hub_, "b:1");
  EXPECT_TRUE(absl::IsFailedPrecondition(Connect({"a:1", "b:1"}).status()));
}

}  // namespace
}  // namespace pinboard::cache_service
