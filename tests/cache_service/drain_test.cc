// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Members that hand their pages over as they end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cache_service/loopback_members.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;

constexpr int kPages = 200;  // more than are offered to one member at a time

class DrainTest : public ::testing::Test {
 protected:
  static ServerOptions Options() {
    ServerOptions options = LoopbackMembers::Options(256 * kTestPageBytes, 1);
    options.drain_deadline = absl::InfiniteDuration();
    return options;
  }
  /// Neither silence nor a deadline ends a drain.
  static ServerOptions EndlessOptions() {
    ServerOptions options = Options();
    options.replication.answer_timeout = absl::Hours(1);
    options.drain_deadline = absl::Hours(1);
    return options;
  }
  static void PublishAll(PageStore& store) {
    for (int page = 0; page < kPages; ++page) {
      ASSERT_EQ(PublishTestPage(store, TestPage(page)), absl::OkStatus());
    }
  }
  static bool IsReadable(PageStore& store, const PageRef& page) {
    const FetchResult result = FetchTestPage(store, page);
    return result.pin.ok() && HasTestBytes(page, result.pin->bytes());
  }
  static int Readable(PageStore& store) {
    int readable = 0;
    for (int page = 0; page < kPages; ++page) readable += IsReadable(store, TestPage(page)) ? 1 : 0;
    return readable;
  }
};

TEST_F(DrainTest, WhatOneMemberCannotTakeGoesToTheNext) {
  LoopbackMembers members(3, Options());
  const auto store = members[0].Connect();
  const auto full = members[1].Connect(2);
  const auto other = members[2].Connect();
  PublishAll(*store);
  const auto leases = full->Lease(256, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  members[0].Drain();
  members[0].Join();
  members[2].Await("pages", kPages);  // it counts at the end of its turn
  EXPECT_GT(members[0].Count("hand_overs_total{outcome=\"no_room\"}"), 0);
  EXPECT_EQ(members[0].Count("hand_overs_total{outcome=\"taken\"}"), kPages);
  EXPECT_EQ(members[0].Count("drain_pages_left"), 0);
  EXPECT_EQ(Readable(*other), kPages);
}

// A copy under way was the page's only offer, and where it was refused the page was lost.
TEST_F(DrainTest, WhatOneMemberCannotTakeAsACopyGoesToTheNextToo) {
  constexpr int kFew = 16;  // of one extent
  ServerOptions options = EndlessOptions();
  options.replication.replicas = 2;
  LoopbackMembers members(3, options);
  const MembershipView others{.members = {members[1].self(), members[2].self()}};
  const ExtentId extent = ExtentIdOf(GroupId(1), TestPage(0).key);
  const bool is_in_order = PlacementOrder(extent, others)[0] == others.members.data();
  LoopbackMember& first = members[is_in_order ? 1 : 2];
  LoopbackMember& second = members[is_in_order ? 2 : 1];
  const auto store = members[0].Connect();
  const auto full = first.Connect(2);
  const auto leases = full->Lease(256, kTestPageBytes, Soon());
  ASSERT_EQ(leases.status(), absl::OkStatus());
  members.hub().Stall(first.fabric(), true);
  PublishPages(*store, kFew);
  members[0].Await("pins", kFew);
  members[0].Drain();
  members[0].Await("drain_pages_left", kFew);
  members.hub().Stall(first.fabric(), false);
  members[0].Join();
  second.Await("pages", kFew);
}

TEST_F(DrainTest, PagesOfAMemberThatGoesSilentGoToTheNext) {
  LoopbackMembers members(3, Options());
  const auto store = members[0].Connect();
  const auto other = members[1].Connect();
  PublishAll(*store);
  members.hub().Stall(members[2].fabric(), true);
  members[0].Drain();
  members[0].Join();
  members[1].Await("pages", kPages);
  members.hub().Stall(members[2].fabric(), false);
}

TEST_F(DrainTest, AMemberThatWasLostAsItBeganGetsThePagesWhenItIsConnectedAgain) {
  ServerOptions options = EndlessOptions();
  options.replication.gone_after = absl::Hours(1);
  LoopbackMembers members(2, options);
  const auto store = members[0].Connect();
  PublishAll(*store);
  members.Kill(1);
  members[0].Await("peers{state=\"up\"}", 0);
  members[0].Drain();
  members[0].Await("drain_pages_left", kPages);
  LoopbackMember again(members.hub(), members[1].self().address, options);
  again.Start(members.All());
  members[0].Join();
  again.Await("pages", kPages);
}

TEST_F(DrainTest, ItDoesNotWaitForAMemberThatHasLeft) {
  ServerOptions options = EndlessOptions();
  options.replication.gone_after = absl::Hours(1);
  transport::LoopbackHub hub;
  LoopbackMember member(hub, "loopback:0", options);
  auto leaves = std::make_unique<LoopbackMember>(hub, "loopback:0", options);
  const std::vector<Member> both = {member.self(), leaves->self()};
  member.Start(both);
  leaves->Start(both);
  member.Await("peers{state=\"up\"}", 1);
  const auto store = member.Connect();
  PublishAll(*store);
  leaves.reset();
  member.Await("peers{state=\"up\"}", 0);
  member.Drain();
  member.Join();
  EXPECT_EQ(member.Count("hand_overs_total{outcome=\"taken\"}"), 0);
}

TEST_F(DrainTest, AMemberThatDrainsTakesNothingFromAnother) {
  LoopbackMembers members(3, EndlessOptions());
  const auto first = members[0].Connect();
  const auto second = members[1].Connect(2);
  PublishAll(*second);
  members.hub().Stall(members[2].fabric(), true);  // so the second does not end
  members[1].Drain();
  const auto waits = [&] { return second->Lease(1, kTestPageBytes, Soon()).ok(); };
  while (waits()) absl::SleepFor(absl::Milliseconds(1));
  PublishAll(*first);
  members[0].Drain();
  const absl::Time give_up = Soon();
  const std::string refused = "hand_overs_total{outcome=\"no_room\"}";
  while (members[0].Count(refused) == 0 && SteadyNow() < give_up) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_GT(members[0].Count(refused), 0);
  EXPECT_EQ(members[0].Count("hand_overs_total{outcome=\"taken\"}"), 0);
  members[0].Drain();
  members[1].Drain();
  members[0].Join();
  members[1].Join();
}

TEST_F(DrainTest, ItServesWithoutLeasesAndASecondCallEndsItAtOnce) {
  LoopbackMembers members(2, EndlessOptions());
  const auto store = members[0].Connect();
  PublishAll(*store);
  auto held = store->Lease(1, kTestPageBytes, Soon());
  ASSERT_EQ(held.status(), absl::OkStatus());
  members.hub().Stall(members[1].fabric(), true);
  members[0].Drain();
  members[0].Await("drain_pages_left", kPages);
  EXPECT_EQ(members[0].membership().announced(), MemberState::kDraining);
  // More than it may have had ahead.
  const absl::Status refused = store->Lease(kPages, kTestPageBytes, Soon()).status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("draining"));
  EXPECT_EQ(Readable(*store), kPages) << "it serves what it has";
  FillTestPage(TestPage(kPages), held->front().memory());
  store->Publish(*std::move(held), {TestHeader(TestPage(kPages))});
  members[0].Await("drain_pages_left", kPages + 1);
  members[0].Drain();
  members[0].Join();
}

TEST_F(DrainTest, ItsDeadlineEndsIt) {
  ServerOptions options = EndlessOptions();
  options.drain_deadline = absl::Milliseconds(20);
  LoopbackMembers members(2, options);
  const auto store = members[0].Connect();
  PublishAll(*store);
  members.hub().Stall(members[1].fabric(), true);
  members[0].Drain();
  members[0].Join();
  EXPECT_EQ(members[0].Count("hand_overs_total{outcome=\"taken\"}"), 0);
}

}  // namespace
}  // namespace pinboard::cache_service
