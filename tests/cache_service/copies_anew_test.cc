// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Copies that are made anew when members are lost, leave and come.
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "cache_service/replication/offer_queue.h"
#include "tests/cache_service/loopback_members.h"

namespace pinboard::cache_service {
namespace {

constexpr int kPages = 200;  // more than wait, or are offered to one member, at a time

class CopiesAnewTest : public ::testing::Test {
 protected:
  static ServerOptions Options(int replicas) {
    ServerOptions options = LoopbackMembers::Options(1024 * kTestPageBytes, replicas);
    options.replication.orphan_timeout = absl::Hours(1);
    return options;
  }
  static void PublishAll(LoopbackMember& member, PageStore& store, int first = 0,
                         int last = kPages) {
    for (int page = first; page < last; ++page) {
      ASSERT_EQ(PublishTestPage(store, TestPage(page)), absl::OkStatus());
    }
    member.Await("pages", last);
  }
  static int Readable(PageStore& store, int last = kPages) {
    int readable = 0;
    for (int page = 0; page < last; ++page) {
      const FetchResult result = FetchTestPage(store, TestPage(page));
      if (result.pin.ok() && HasTestBytes(TestPage(page), result.pin->bytes())) ++readable;
    }
    return readable;
  }
  static void AwaitCopies(LoopbackMember& member) { member.Await("under_replicated_pages", 0); }
  static void AwaitPeers(LoopbackMember& member, int up, int down) {
    member.Await("peers{state=\"up\"}", up);
    member.Await("peers{state=\"down\"}", down);
  }
};

TEST_F(CopiesAnewTest, NoPageIsLostWithASecondMemberWhicheverTheyAre) {
  for (const int first : {0, 1, 2}) {
    LoopbackMembers members(3, Options(2));
    const auto store = members[0].Connect();
    PublishAll(members[0], *store);
    AwaitCopies(members[0]);
    members.Kill(first);
    const int second = first == 0 ? 1 : 0;
    const int last = 3 - first - second;
    for (const int left : {second, last}) {
      AwaitPeers(members[left], 1, 1);
      AwaitCopies(members[left]);
    }
    members.Kill(second);
    EXPECT_EQ(Readable(*members[last].Connect()), kPages) << "without " << first;
    EXPECT_EQ(members[last].Count("pages"), kPages);
  }
}

TEST_F(CopiesAnewTest, TheGaugeSaysHowManyPagesHaveACopyTooFew) {
  ServerOptions options = Options(2);
  options.replication.gone_after = absl::Hours(1);
  LoopbackMembers members(2, options);
  const auto store = members[0].Connect();
  EXPECT_EQ(members[0].Count("under_replicated_pages"), 0);
  PublishAll(members[0], *store);
  AwaitCopies(members[0]);
  members.Kill(1);
  members[0].Await("under_replicated_pages", kPages);  // away
  auto alone = members.All();
  alone.pop_back();
  members[0].membership().Tell(alone);  // and off the list
  PublishAll(members[0], *store, kPages, kPages + 1);
  members[0].Await("under_replicated_pages", kPages + 1);
}

TEST_F(CopiesAnewTest, AMemberThatComesGetsWhatItIsToHave) {
  LoopbackMembers members(3, Options(2));
  auto listed = members.All();
  const Member third = listed.back();
  listed.pop_back();
  for (const int member : {0, 1}) {
    members[member].membership().Tell(listed);
    members[member].Await("peers{state=\"up\"}", 1);
  }
  const auto store = members[0].Connect();
  PublishAll(members[0], *store);
  AwaitCopies(members[0]);
  EXPECT_EQ(members[1].Count("pages"), kPages);
  listed.push_back(third);
  for (const int member : {0, 1}) members[member].membership().Tell(listed);
  AwaitPeers(members[0], 2, 0);
  AwaitCopies(members[0]);
  const double moved = members[2].Count("pages");
  EXPECT_GT(moved, 0);
  EXPECT_LT(moved, kPages) << "what has its place where it was stays there";
  EXPECT_EQ(members[0].Count("copies_total{outcome=\"taken\"}"), kPages + moved);
  EXPECT_EQ(members[0].Count("copies_total{outcome=\"had\"}"), 0)
      << "nor is it offered there again";
}

TEST_F(CopiesAnewTest, AMemberThatWasOnlyAwayIsOfferedNothingAnew) {
  ServerOptions options = Options(2);
  options.replication.gone_after = absl::Hours(1);
  LoopbackMembers members(2, options);
  const auto store = members[0].Connect();
  PublishAll(members[0], *store);
  AwaitCopies(members[0]);
  members.hub().Stall(members[1].fabric(), true);
  PublishAll(members[0], *store, kPages, kPages + 1);  // it does not answer, and is left
  AwaitPeers(members[0], 0, 1);
  members.hub().Stall(members[1].fabric(), false);
  AwaitPeers(members[0], 1, 0);
  AwaitCopies(members[0]);
  EXPECT_EQ(members[0].Count("copies_total{outcome=\"taken\"}") +
                members[0].Count("copies_total{outcome=\"had\"}"),
            kPages + 1);
}

// They had a copy too few for good, and the gauge said 0.
TEST_F(CopiesAnewTest, PagesThatFoundTooManyWaitingAreCopiedOnceFewDo) {
  ServerOptions options = Options(2);
  options.replication.gone_after = absl::Hours(1);
  LoopbackMembers members(2, options);
  const auto store = members[0].Connect();
  members.hub().Stall(members[1].fabric(), true);
  constexpr std::uint32_t kGenerations = OfferQueue::kMostWaiting / kPages + 3;
  for (std::uint32_t generation = 1; generation <= kGenerations; ++generation) {
    auto leases = store->Lease(kPages, kTestPageBytes, Soon());
    ASSERT_EQ(leases.status(), absl::OkStatus());
    std::vector<PageHeader> headers;
    for (int page = 0; page < kPages; ++page) {
      headers.push_back(TestHeader(TestPage(page, generation)));
      FillTestPage(TestPage(page, generation), (*leases)[page].memory());
    }
    store->Publish(*std::move(leases), headers);
  }
  members[0].Await("pages_published_total", kGenerations * kPages);
  members[0].Await("under_replicated_pages", kPages);
  // The counts of one turn of the member are not brought up to date at once.
  const auto overflowed = [&] { return members[0].Count("copies_total{outcome=\"overflow\"}"); };
  const absl::Time give_up = Soon();
  while (overflowed() < kPages && SteadyNow() < give_up) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_GE(overflowed(), kPages);
  members.hub().Stall(members[1].fabric(), false);
  AwaitPeers(members[0], 1, 0);
  AwaitCopies(members[0]);
  EXPECT_EQ(members[1].Count("pages"), kPages);
  members.Kill(0);
  EXPECT_TRUE(FetchTestPage(*members[1].Connect(), TestPage(kPages - 1, kGenerations)).pin.ok());
}

TEST_F(CopiesAnewTest, WhatAMemberThatDrainsHandsOverGetsItsCopies) {
  ServerOptions options = Options(2);
  options.drain_deadline = absl::InfiniteDuration();
  LoopbackMembers members(3, options);
  const auto store = members[0].Connect();
  PublishAll(members[0], *store);
  AwaitCopies(members[0]);
  members[0].Drain();
  members[0].Join();
  auto listed = members.All();
  listed.erase(listed.begin());
  for (const int left : {1, 2}) {
    members[left].membership().Tell(listed);
    AwaitPeers(members[left], 1, 0);
    AwaitCopies(members[left]);
  }
  members.Kill(1);
  EXPECT_EQ(Readable(*members[2].Connect()), kPages);
}

TEST_F(CopiesAnewTest, WhatIsPublishedWhileAMemberDrainsGetsItsCopies) {
  ServerOptions options = Options(2);
  options.drain_deadline = absl::InfiniteDuration();
  options.replication.answer_timeout = absl::Hours(1);
  LoopbackMembers members(3, options);
  const auto store = members[0].Connect();
  PublishAll(members[0], *store);
  AwaitCopies(members[0]);
  constexpr int kHeld = 16;
  auto leases = store->Lease(kHeld, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  members.hub().Stall(members[2].fabric(), true);  // so that it does not end yet
  members[0].Drain();
  while (members[0].membership().announced() != MemberState::kDraining) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  std::vector<PageHeader> headers;
  for (int held = 0; held < kHeld; ++held) {
    const PageRef page = TestPage(kPages + 16 * held);  // each of another extent
    FillTestPage(page, (*leases)[held].memory());
    headers.push_back(TestHeader(page));
  }
  store->Publish(*std::move(leases), headers);
  members[0].Await("pages", kPages + kHeld);
  members.hub().Stall(members[2].fabric(), false);
  members[0].Join();
  members.Kill(0);
  for (const int left : {1, 2}) AwaitPeers(members[left], 1, 1);
  for (const int left : {1, 2, 1}) AwaitCopies(members[left]);
  EXPECT_EQ(members[1].Count("pages"), kPages + kHeld);
  EXPECT_EQ(members[2].Count("pages"), kPages + kHeld);
}

TEST_F(CopiesAnewTest, WhatWaitsForAMemberThatEndsGoesToAnotherAndIsForgotten) {
  LoopbackMembers members(3, Options(2));
  const auto store = members[0].Connect();
  members.hub().Stall(members[1].fabric(), true);
  PublishAll(members[0], *store);
  auto listed = members.All();
  listed[1].state = MemberState::kDraining;
  members[0].membership().Tell(listed);
  members[2].Await("pages", kPages);
  members.Kill(1);
  AwaitPeers(members[0], 1, 1);
  AwaitCopies(members[0]);
  members[0].Await("copies_waiting", 0);
}

TEST_F(CopiesAnewTest, WhatIsDroppedMeanwhileDoesNotComeBack) {
  LoopbackMembers members(3, Options(2));
  const auto store = members[0].Connect();
  PublishAll(members[0], *store);
  AwaitCopies(members[0]);
  members.Kill(1);
  store->DropSequence(7);
  AwaitPeers(members[0], 1, 1);
  AwaitCopies(members[0]);
  members[0].Await("pages", 0);
  members[2].Await("pages", 0);
}

}  // namespace
}  // namespace pinboard::cache_service
