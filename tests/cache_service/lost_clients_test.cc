// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Connections of a process that goes on, lost without a Goodbye.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "cache_service/client/stats_client.h"
#include "tests/cache_service/loopback_service.h"
#include "tests/cache_service/raw_client.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;

constexpr char kLost[] = "pinboard_service_lost_clients";
constexpr char kPages[] = "pinboard_service_pages";

class LostClientsTest : public ::testing::Test {
 protected:
  std::unique_ptr<RawClient> Make() {
    return std::make_unique<RawClient>(service_.hub().MakeFabric(), service_.address());
  }
  void LoseMany() {
    for (int i = 0; i < 100; ++i) Make()->Greet();
  }
  /// All connections but one.
  void AwaitEnded(int connections) {
    service_.Await("pinboard_service_connections_total", connections);
    service_.Await("pinboard_service_clients", 1);
  }

  LoopbackService service_{16 * kTestPageBytes};
};

// Each was kept for as long as the process lived, and looked for in /proc 20 times a second.
TEST_F(LostClientsTest, OfThoseThatHoldNothingOneIsKeptForItsGroup) {
  const auto store = service_.Connect(2);
  {
    const auto publisher = Make();
    publisher->Greet();
    const auto leased = publisher->Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
    publisher->Send(Publish{{{leased.slabs.at(0).slab, TestHeader(TestPage(1))}}});
  }
  LoseMany();
  AwaitEnded(102);
  service_.Await(kLost, 1);
  EXPECT_EQ(service_.Metric(kPages), 1);
}

// One process that connected in ever new groups took ever more memory.
TEST_F(LostClientsTest, OfThoseOfManyGroupsTheLastAreKept) {
  constexpr int kKept = 256;
  {
    const auto holder = Make();
    holder->Greet(1);
    holder->Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
  }
  service_.Await(kLost, 1);
  for (std::uint64_t group = 2; group < 2 + kKept; ++group) {
    const auto client = Make();
    client->Greet(group);
    if (group > 3) continue;
    const auto leased = client->Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
    client->Send(Publish{{{leased.slabs.at(0).slab, TestHeader(TestPage(1))}}});
  }
  service_.Await(kLost, 1 + kKept);
  EXPECT_EQ(service_.Metric(kPages), 2);
  Make()->Greet(1000);
  service_.Await(kPages, 1);
  service_.Await(kLost, 1 + kKept);
  EXPECT_EQ(service_.Metric("pinboard_service_slabs{state=\"quarantined\"}"), 1);
}

TEST_F(LostClientsTest, NoneThatHoldsNothingIsKeptBesideOneThatIsThere) {
  const auto there = Make();
  there->Greet();
  LoseMany();
  AwaitEnded(101);
  service_.Await(kLost, 0);
}

// As one that gives up before its Welcome has come, and connects again: it knows no id to say
// goodbye with, and the group's pages stayed until the process ended.
TEST_F(LostClientsTest, OneThatHoldsNothingIsForgottenAsItsProcessConnectsAgain) {
  Make()->Greet();
  service_.Await(kLost, 1);
  {
    const auto again = Make();
    const std::uint64_t id = again->Greet().client;
    service_.Await(kLost, 0);
    const auto leased = again->Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
    again->Send(Publish{{{leased.slabs.at(0).slab, TestHeader(TestPage(1))}}});
    service_.Await(kPages, 1);
    again->Send(Goodbye{id});
  }
  service_.Await(kPages, 0);
}

// As `pinboard top` beside a service that stalls.
TEST_F(LostClientsTest, WhoAsksForCountsTakesThePlaceOfItsEarlierConnection) {
  const auto ask = [this] {
    auto client = StatsClient::Connect(service_.hub().MakeFabric(), service_.address(), "asks",
                                       std::nullopt, SteadyNow() + absl::Seconds(30));
    EXPECT_EQ(client.status(), absl::OkStatus());
    return *std::move(client);
  };
  for (int i = 1; i <= 3; ++i) {
    ask().reset();
    service_.Await("pinboard_service_connections_total", i);
    service_.Await(kLost, 1);
  }
  const auto there = ask();
  service_.Await(kLost, 0);
}

TEST_F(LostClientsTest, OneThatHoldsSomethingIsKeptUntilItsProcessLetsGo) {
  const auto there = Make();
  there->Greet();
  std::uint64_t lost = 0;
  {
    const auto client = Make();
    lost = client->Greet().client;
    client->Ask<LeaseReply>(LeaseRequest{5, kTestPageBytes});
  }
  service_.Await("pinboard_service_slabs{state=\"quarantined\"}", 5);
  service_.Await(kLost, 1);
  there->Send(Goodbye{lost});
  service_.Await(kLost, 0);
  service_.Await("pinboard_service_slabs{state=\"quarantined\"}", 0);
}

// Each kept its page pinned and a client in memory for as long as the process lived.
TEST_F(LostClientsTest, AProcessThatLosesEverMoreHoldingConnectionsIsRefusedUntilItLetsGo) {
  constexpr int kMost = 64;
  constexpr char kRefused[] = "pinboard_service_refused_total{reason=\"lost_connections\"}";
  const auto store = service_.Connect(2);  // another group of this process
  const auto publisher = Make();
  const std::uint64_t there = publisher->Greet().client;
  const auto leased = publisher->Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
  publisher->Send(Publish{{{leased.slabs.at(0).slab, TestHeader(TestPage(1))}}});
  std::uint64_t lost = 0;
  for (int i = 1; i <= kMost; ++i) {
    const auto client = Make();
    lost = client->Greet().client;
    ASSERT_EQ(client->Ask<FetchReply>(Fetch{{TestPage(1)}}).pages.at(0).miss, MissCause::kNone);
  }
  service_.Await(kLost, kMost);
  const auto refused = Make();
  refused->Send(Hello{.group = 1, .process = CurrentProcess()});
  const Error error = refused->Receive<Error>().message;
  EXPECT_EQ(error.code, static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(error.text, HasSubstr("64 lost connections of this process hold memory"));
  EXPECT_TRUE(refused->IsClosedByService());
  service_.Await(kRefused, 1);
  service_.Await(kLost, kMost);
  EXPECT_EQ(service_.Metric("pinboard_service_pins"), kMost) << "the process may read them";

  Hello another{.group = 1, .process = CurrentProcess()};
  another.process.start_ticks = 0;  // unknown: another identity
  const auto stranger = Make();
  stranger->Ask<Welcome>(another);
  publisher->Send(Goodbye{lost});
  service_.Await(kLost, kMost - 1);
  Make()->Greet();
  publisher->Send(Goodbye{there});
  EXPECT_EQ(service_.Metric(kRefused), 1);
}

// Whoever may connect could fill the disk of the log.
TEST_F(LostClientsTest, ThatManyComeAndGoIsLoggedForFewAndWithTheBeginningOfTheirNames) {
  constexpr int kMany = 400;
  const absl::Time start = SteadyNow();
  InitLog("test", LogLevel::kInfo);
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < kMany; ++i) {
    Make()->Ask<Welcome>(Hello{.process = CurrentProcess(), .name = std::string(100, 'n')});
  }
  service_.Await("pinboard_service_connections_total", kMany);
  service_.Await("pinboard_service_clients", 0);
  const std::string log = ::testing::internal::GetCapturedStderr();
  InitLog("test", LogLevel::kWarning);
  EXPECT_LE(std::count(log.begin(), log.end(), '\n'),
            257 + (SteadyNow() - start) / absl::Milliseconds(100));
  EXPECT_THAT(log, HasSubstr(" " + std::string(64, 'n') + " (process"));
}

TEST_F(LostClientsTest, AnotherGroupsDoesNotStandIn) {
  const auto there = Make();
  there->Greet(2);
  Make()->Greet(1);
  service_.Await(kLost, 1);
}

}  // namespace
}  // namespace pinboard::cache_service
