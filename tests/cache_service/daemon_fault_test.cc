// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Faults of the service and of its clients, with real processes over UCX.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <optional>
#include <set>

#include "cache_service/client/leases_ahead.h"
#include "cache_service/protocol/messages.h"
#include "tests/cache_service/daemon.h"
#include "tests/cache_service/raw_client.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/seeded_random.h"

namespace pinboard::cache_service {
namespace {

constexpr int kPages = 16;
constexpr std::size_t kArenaBytes = kPages * kTestPageBytes;

std::unique_ptr<PageStore> Connect(const Daemon& daemon, std::uint64_t group = 1) {
  auto store = ConnectOverUcx(daemon.address(), group);
  EXPECT_EQ(store.status(), absl::OkStatus());
  return *std::move(store);
}

/// Tries again until the condition holds; false after a time that only a failure reaches.
bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = Soon();
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

TEST(DaemonFaultTest, KilledWhileFetchesWaitEachIsUnavailableOnce) {
  Daemon daemon(kArenaBytes);
  const auto store = Connect(daemon);
  std::vector<PageRef> pages;
  for (std::uint32_t i = 0; i < 8; ++i) {
    pages.push_back(TestPage(i));
    ASSERT_EQ(PublishTestPage(*store, pages.back()), absl::OkStatus());
  }
  ASSERT_EQ(FetchTestPage(*store, pages.back()).pin.status(), absl::OkStatus());
  daemon.process().Signal(SIGSTOP);
  store->Fetch(pages, absl::InfiniteFuture());
  store->Fetch(pages, absl::InfiniteFuture());
  daemon.process().Signal(SIGKILL);
  std::multiset<std::uint32_t> resolved;
  for (const FetchResult& result : CollectFetched(*store)) {
    EXPECT_TRUE(absl::IsUnavailable(result.pin.status())) << result.pin.status();
    resolved.insert(result.page.key.page);
  }
  EXPECT_EQ(resolved.size(), 16);
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(resolved.count(i), 2);
  EXPECT_TRUE(absl::IsUnavailable(store->Lease(1, kTestPageBytes, Soon()).status()));
}

TEST(DaemonFaultTest, KilledItLeavesTheMemoryOfLeasesAndPinsUsable) {
  Daemon daemon(kArenaBytes);
  const auto store = Connect(daemon);
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  FetchResult pinned = FetchTestPage(*store, TestPage(1));
  ASSERT_EQ(pinned.pin.status(), absl::OkStatus());
  auto leases = store->Lease(4, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  daemon.process().Signal(SIGKILL);
  ASSERT_TRUE(Eventually(
      [&] { return absl::IsUnavailable(store->Lease(1, kTestPageBytes, Soon()).status()); }));
  for (const PageLease& lease : *leases) FillTestPage(TestPage(2), lease.memory());
  EXPECT_TRUE(HasTestBytes(TestPage(1), pinned.pin->bytes()));
  store->Publish(*std::move(leases), std::vector<PageHeader>(4, TestHeader(TestPage(2))));
  EXPECT_TRUE(absl::IsUnavailable(FetchTestPage(*store, TestPage(2)).pin.status()));
}

TEST(DaemonFaultTest, StartedAgainItServesNothingOfItsEarlierLife) {
  auto daemon = std::make_unique<Daemon>(kArenaBytes);
  const std::string address = daemon->address();
  const auto store = Connect(*daemon);
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  FetchResult pinned = FetchTestPage(*store, TestPage(1));
  ASSERT_EQ(pinned.pin.status(), absl::OkStatus());
  auto old_leases = store->Lease(2, kTestPageBytes, Soon());
  ASSERT_EQ(old_leases.status(), absl::OkStatus());
  daemon.reset();
  daemon = std::make_unique<Daemon>(kArenaBytes, address);
  ASSERT_EQ(daemon->address(), address);
  ASSERT_TRUE(Eventually([&] { return store->Lease(1, kTestPageBytes, Soon()).ok(); }));
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(*store, TestPage(1)).pin.status()));
  // What was leased of the earlier life is published into nothing.
  FillTestPage(TestPage(3), (*old_leases)[0].memory());
  store->Publish(*std::move(old_leases), {TestHeader(TestPage(3)), TestHeader(TestPage(4))});
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(*store, TestPage(3)).pin.status()));
  ASSERT_EQ(PublishTestPage(*store, TestPage(5)), absl::OkStatus());
  EXPECT_EQ(FetchTestPage(*store, TestPage(5)).pin.status(), absl::OkStatus());
  EXPECT_TRUE(HasTestBytes(TestPage(1), pinned.pin->bytes()));
}

TEST(DaemonFaultTest, StoppedItHoldsUpLeasesAndFetchesUntilTheirDeadlineAndNothingElse) {
  Daemon daemon(kArenaBytes);
  const auto store = Connect(daemon);
  auto leases = store->Lease(1, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  FillTestPage(TestPage(1), leases->front().memory());
  daemon.process().Signal(SIGSTOP);
  store->Publish(*std::move(leases), {TestHeader(TestPage(1))});
  store->Fetch({TestPage(2)}, absl::Now() + absl::Milliseconds(20));
  const std::vector<FetchResult> late = CollectFetched(*store);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_TRUE(absl::IsDeadlineExceeded(late[0].pin.status())) << late[0].pin.status();
  store->Fetch({TestPage(1)}, absl::InfiniteFuture());
  for (std::uint32_t i = 0; i < 5000; ++i) {  // more than the link keeps waiting
    store->Fetch({TestPage(1000 + i)}, absl::Now());
    store->DropSequence(1000 + i);
    store->TakeFetched();
  }
  const auto refused = store->Lease(1, kTestPageBytes, absl::Now() + absl::Milliseconds(20));
  EXPECT_TRUE(absl::IsDeadlineExceeded(refused.status())) << refused.status();
  daemon.process().Signal(SIGCONT);
  bool came = false;
  for (const FetchResult& result : CollectFetched(*store)) {
    came = came || (result.page == TestPage(1) && result.pin.ok());
  }
  EXPECT_TRUE(came);
  // The lease that came too late was given back, and so were the pages that came too late.
  EXPECT_TRUE(Eventually([&] { return store->Lease(kPages, kTestPageBytes, Soon()).ok(); }));
}

TEST(DaemonFaultTest, AStoreOfAStoppedServiceCanBeDestroyed) {
  Daemon daemon(kArenaBytes);
  auto store = Connect(daemon);
  daemon.process().Signal(SIGSTOP);
  store->Fetch({TestPage(1)}, absl::InfiniteFuture());
  store.reset();
}

/// Of slabs, as the service counts them.
std::uint64_t Quarantined(const Daemon& daemon) {
  RawClient observer(daemon.address());
  observer.Greet(2);
  for (const StatsEntry& entry : observer.Ask<StatsReply>(StatsRequest{}).entries) {
    if (entry.name == "pinboard_service_slabs{state=\"quarantined\"}") return entry.value;
  }
  ADD_FAILURE() << "the service does not count quarantined slabs";
  return 0;
}

TEST(DaemonFaultTest, TheSlabsOfAKilledClientComeBackAndThoseOfOneThatIsCutOffAndLivesDoNot) {
  constexpr int kHalf = kPages / 2;
  Daemon daemon(kArenaBytes);
  const auto store = Connect(daemon);
  ChildProcess holder({BuiltProgram("tests/cache_service/cache_lease_holder"), daemon.address(),
                       std::to_string(kHalf), std::to_string(kTestPageBytes)});
  ASSERT_EQ(holder.ReadLine(), "holding");
  {
    RawClient cut_off(daemon.address());
    cut_off.Greet();
    ASSERT_EQ(cut_off.Ask<LeaseReply>(LeaseRequest{kHalf, kTestPageBytes}).slabs.size(), kHalf);
  }  // without a Goodbye, and its process lives: this one
  ASSERT_TRUE(Eventually([&] { return Quarantined(daemon) == kHalf; }));
  EXPECT_TRUE(absl::IsResourceExhausted(store->Lease(1, kTestPageBytes, Soon()).status()));
  holder.Signal(SIGKILL);
  auto leases = store->Lease(kHalf, kTestPageBytes, Soon());
  EXPECT_TRUE(Eventually([&] {
    if (!leases.ok()) leases = store->Lease(kHalf, kTestPageBytes, Soon());
    return leases.ok();
  }));
  EXPECT_TRUE(absl::IsResourceExhausted(store->Lease(1, kTestPageBytes, Soon()).status()));
  EXPECT_EQ(Quarantined(daemon), kHalf);
}

TEST(DaemonFaultTest, AStoreThatIsDestroyedGivesEverythingBackAtOnce) {
  Daemon daemon(kArenaBytes);
  const auto other_group = Connect(daemon, 2);
  {
    const auto store = Connect(daemon);
    ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
    const FetchResult pinned = FetchTestPage(*store, TestPage(1));
    ASSERT_EQ(pinned.pin.status(), absl::OkStatus());
    const auto leases = store->Lease(kPages - 1, kTestPageBytes, Soon());
    ASSERT_EQ(leases.status(), absl::OkStatus());
  }
  EXPECT_TRUE(Eventually([&] { return other_group->Lease(kPages, kTestPageBytes, Soon()).ok(); }));
}

TEST(DaemonFaultTest, TwoGroupsWithTheSameSequenceSeeTheirOwnPages) {
  Daemon daemon(kArenaBytes);
  const auto one = Connect(daemon, 1);
  const auto two = Connect(daemon, 2);
  ASSERT_EQ(PublishTestPage(*one, TestPage(1)), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(*two, TestPage(1)).pin.status()));
  two->DropSequence(TestPage(1).key.sequence);
  EXPECT_EQ(FetchTestPage(*one, TestPage(1)).pin.status(), absl::OkStatus());
}

TEST(DaemonFaultTest, AFetchThatOvertakesItsPublicationIsStillAHit) {
  Daemon daemon(kArenaBytes);
  const auto publisher = Connect(daemon);
  const auto reader = Connect(daemon);
  int hits = 0;
  for (std::uint32_t i = 0; i < 50; ++i) {
    auto leases = publisher->Lease(1, kTestPageBytes, Soon());
    ASSERT_EQ(leases.status(), absl::OkStatus());
    FillTestPage(TestPage(i), leases->front().memory());
    reader->Fetch({TestPage(i)}, Soon());
    publisher->Publish(*std::move(leases), {TestHeader(TestPage(i))});
    for (const FetchResult& result : CollectFetched(*reader)) {
      if (!result.pin.ok()) continue;
      ++hits;
      EXPECT_TRUE(HasTestBytes(TestPage(i), result.pin->bytes()));
    }
  }
  EXPECT_GT(hits, 40);  // a machine that pauses for longer than the grace may lose some
}

TEST(DaemonFaultTest, AnythingAPeerSendsHarmsNobodyElse) {
  SeededRandom random;
  Daemon daemon(kArenaBytes);
  // A group that no flipped bit of a Hello reaches: the peers below speak for group 0.
  const auto store = Connect(daemon, 3);
  ASSERT_EQ(PublishTestPage(*store, TestPage(1)), absl::OkStatus());
  // Held: the peers may lease whatever is free, and an arena that is full lets go of other pages.
  const FetchResult held = FetchTestPage(*store, TestPage(1));
  ASSERT_EQ(held.pin.status(), absl::OkStatus());
  const std::vector<std::vector<std::byte>> valid = {
      EncodeMessage(1, Hello{}),
      EncodeMessage(2, LeaseRequest{1, kTestPageBytes}),
      EncodeMessage(3, LeaseRequest{0xffffffff, 0xffffffffffffffff}),
      EncodeMessage(4, Publish{{{1, TestHeader(TestPage(1))}}}),
      EncodeMessage(5, Fetch{{TestPage(1), TestPage(2)}}),
      EncodeMessage(6, Unpin{{1, 2, 3}}),
      EncodeMessage(7, ReturnSlabs{{1}}),
      EncodeMessage(8, Goodbye{1}),
      EncodeMessage(9, Drop{{TestPage(1)}}),
      EncodeMessage(10, StatsRequest{}),
  };
  for (int attempt = 0; attempt < 40; ++attempt) {
    auto fabric = transport::MakeUcxFabric();
    ASSERT_EQ(fabric.status(), absl::OkStatus());
    bool closed = false;
    (*fabric)->OnClosed([&closed](transport::PeerId, absl::Status) { closed = true; });
    const auto peer = (*fabric)->Connect(daemon.address(), Soon());
    ASSERT_EQ(peer.status(), absl::OkStatus());
    if (attempt % 2 == 0) (*fabric)->Send(*peer, 1, valid[0], nullptr);
    for (int message = 0; message < 20 && !closed; ++message) {
      std::vector<std::byte> bytes = random.Pick(valid);
      const auto type = std::to_integer<std::uint8_t>(bytes[1]);
      if (random.Int(0, 1) == 0) bytes.resize(random.Int(0, static_cast<int>(bytes.size()) + 7));
      if (random.Int(0, 1) == 0 && !bytes.empty()) {
        bytes[random.Int(0, static_cast<int>(bytes.size()) - 1)] ^=
            static_cast<std::byte>(1U << random.Int(0, 7));
      }
      (*fabric)->Send(*peer, random.Int(0, 3) == 0 ? random.Int(0, 63) : type, bytes, nullptr);
      (*fabric)->Progress();
    }
  }
  EXPECT_TRUE(HasTestBytes(TestPage(1), held.pin->bytes()));
  const FetchResult again = FetchTestPage(*store, TestPage(1));
  ASSERT_EQ(again.pin.status(), absl::OkStatus());
  EXPECT_EQ(again.pin->bytes().data(), held.pin->bytes().data());
  // Their slabs come back, since their connections are gone.
  ASSERT_TRUE(Eventually([&] { return store->Lease(kPages - 1, kTestPageBytes, Soon()).ok(); }));
}

TEST(DaemonFaultTest, WhatWasAskedForAheadOfAServiceThatIsGoneIsForgotten) {
  constexpr std::size_t kBytes = LeasesAhead::kShare * kTestPageBytes;  // so one page ahead
  std::optional<Daemon> daemon(std::in_place, kBytes);
  const std::string address = daemon->address();
  const auto store = Connect(*daemon);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(store->Lease(1, kTestPageBytes, Soon()).status(), absl::OkStatus());
  }
  daemon->process().Signal(SIGSTOP);
  // Where one is there it is granted, and the next asked for.
  static_cast<void>(store->Lease(1, kTestPageBytes, absl::Now() + absl::Milliseconds(5)));
  daemon->process().Signal(SIGKILL);
  ASSERT_TRUE(Eventually(
      [&] { return absl::IsUnavailable(store->Lease(1, kTestPageBytes, Soon()).status()); }));
  daemon.emplace(kBytes, address);
  ASSERT_TRUE(Eventually([&] { return PublishTestPage(*store, TestPage(1)).ok(); }));
  EXPECT_EQ(FetchTestPage(*store, TestPage(1)).pin.status(), absl::OkStatus());
}

TEST(DaemonFaultTest, NobodyListeningIsUnavailable) {
  std::string address;
  {
    Daemon daemon(kArenaBytes);
    address = daemon.address();
  }
  EXPECT_TRUE(absl::IsUnavailable(ConnectOverUcx(address).status()));
}

}  // namespace
}  // namespace pinboard::cache_service
