// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Members that copy for each other, and are stalled, killed and listed anew.
#include <gtest/gtest.h>

#include "tests/cache_service/introduced_member.h"
#include "tests/cache_service/loopback_members.h"
#include "tests/cache_service/loopback_service.h"
#include "tests/cache_service/raw_client.h"

namespace pinboard::cache_service {
namespace {

constexpr int kPages = 32;

class ReplicationTest : public ::testing::TestWithParam<int> {
 protected:
  static LoopbackMembers Make(int count, int replicas) {
    return {count, LoopbackMembers::Options(256 * kTestPageBytes, replicas)};
  }
  static void AwaitMore(const LoopbackMember& member, const std::string& name, double than) {
    const absl::Time give_up = Soon();
    while (member.Count(name) <= than && SteadyNow() < give_up) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_GT(member.Count(name), than) << name;
  }
  static bool IsReadable(PageStore& store, const PageRef& page) {
    const FetchResult result = FetchTestPage(store, page);
    return result.pin.ok() && HasTestBytes(page, result.pin->bytes());
  }
  /// Its member knows of others who has pages.
  static void AwaitReadable(PageStore& store, const PageRef& page) {
    const absl::Time give_up = Soon();
    while (!IsReadable(store, page) && SteadyNow() < give_up) {
    }
  }
};

TEST_F(ReplicationTest, CopiesLeaveWhenTheirGroupEnds) {
  auto members = Make(2, 2);
  auto store = members[0].Connect();
  PublishPages(*store, kPages);
  members[1].Await("pages", kPages);
  store.reset();
  members[0].Await("pages", 0);
  members[1].Await("pages", 0);
}

TEST_F(ReplicationTest, CopiesStayWhileAnyMemberHasAClientOfTheGroup) {
  auto members = Make(2, 2);
  auto store = members[0].Connect();
  const auto other = members[1].Connect();
  PublishPages(*store, kPages);
  members[1].Await("pages", kPages);
  store.reset();
  members[0].Await("clients", 1);
  EXPECT_EQ(members[0].Count("pages"), kPages);
  EXPECT_TRUE(IsReadable(*other, TestPage(3)));
}

TEST_F(ReplicationTest, OrphansLeaveWhereNoClientComesAndStayWhereOneDoes) {
  auto members = Make(2, 2);
  const auto lost = members[0].Connect(1);
  const auto moved = members[0].Connect(2);
  PublishPages(*lost, kPages);
  PublishPages(*moved, kPages);
  members[1].Await("pages", 2 * kPages);
  members.Kill(0);
  const auto again = members[1].Connect(2);
  members[1].Await("pages", kPages);
  EXPECT_TRUE(IsReadable(*again, TestPage(5)));
}

TEST_F(ReplicationTest, AStalledMemberIsLeftAndSkippedAndOthersServe) {
  auto members = Make(3, 3);
  const auto store = members[0].Connect();
  members.hub().Stall(members[2].fabric(), true);
  PublishPages(*store, kPages);
  members[1].Await("pages", kPages);
  EXPECT_TRUE(IsReadable(*members[1].Connect(), TestPage(3)));
  members[0].Await("peers{state=\"down\"}", 1);
  members.hub().Stall(members[2].fabric(), false);
  members[2].Await("pages", kPages);
  members[0].Await("pins", 0);  // of the earlier connection too
}

TEST_F(ReplicationTest, APageThatIsPulledWaitsForNoMemberThatDoesNotAnswer) {
  auto members = Make(3, 3);
  const auto store = members[0].Connect();
  PublishPages(*store, kPages);
  members[1].Await("pages", kPages);
  members[2].Await("pages", kPages);
  const auto other = members[1].Connect();
  other->Drop({TestPage(1)});
  members[2].Await("pages", kPages - 1);
  members.hub().Stall(members[2].fabric(), true);
  EXPECT_FALSE(IsReadable(*other, TestPage(kPages)));
  EXPECT_FALSE(IsReadable(*other, TestPage(1))) << "dropped";
  EXPECT_TRUE(IsReadable(*other, TestPage(2)));
  EXPECT_GE(members[1].Count("pulls_total{outcome=\"timeout\"}"), 1);
}

// It answered after 500 ms, and a client that has other services waits for 250.
TEST_F(ReplicationTest, AMemberThatWaitsForAnotherIsNotTakenForSilent) {
  ServerOptions options = LoopbackMembers::Options(256 * kTestPageBytes, 1);
  options.replication.answer_timeout = absl::Minutes(10);
  LoopbackMembers members(2, options);
  const auto publisher = members[0].Connect();
  PublishPages(*publisher, kPages);
  const auto store = ConnectPageStore(
      [&members]() -> absl::StatusOr<std::unique_ptr<transport::Fabric>> {
        return members.hub().MakeFabric();
      },
      {members[1].self().address, members[0].self().address}, {.group = 1, .name = "test"});
  ASSERT_EQ(store.status(), absl::OkStatus());
  AwaitReadable(**store, TestPage(1));
  members.hub().Stall(members[0].fabric(), true);
  const absl::Time give_up = Soon();
  absl::Status fetched;
  while (!absl::IsNotFound(fetched) && SteadyNow() < give_up) {
    fetched = FetchTestPage(**store, TestPage(2)).pin.status();
  }
  EXPECT_TRUE(absl::IsNotFound(fetched)) << fetched;
}

// It waited for as long as for a member that does not answer.
TEST_F(ReplicationTest, APageThatNobodyHasWaitsForItsPublicationAlone) {
  ServerOptions options = LoopbackMembers::Options(256 * kTestPageBytes, 1);
  options.replication.pull_timeout = absl::Minutes(10);
  LoopbackMembers members(2, options);
  const auto publisher = members[0].Connect();
  PublishPages(*publisher, kPages);
  const auto other = members[1].Connect();
  AwaitReadable(*other, TestPage(1));
  const absl::Status fetched = FetchTestPage(*other, TestPage(kPages)).pin.status();
  EXPECT_TRUE(absl::IsNotFound(fetched)) << fetched;
}

TEST_F(ReplicationTest, AMemberThatAnswersNoQuestionIsLeftThoughNothingIsOfferedToIt) {
  auto members = Make(2, 1);
  const auto store = members[0].Connect();
  PublishPages(*store, kPages);
  const auto other = members[1].Connect();
  AwaitReadable(*other, TestPage(1));
  members.hub().Stall(members[0].fabric(), true);
  EXPECT_FALSE(IsReadable(*other, TestPage(2)));
  members[1].Await("peers{state=\"down\"}", 1);
  members.hub().Stall(members[0].fabric(), false);
  members[1].Await("peers{state=\"up\"}", 1);
}

// Which client of it is gone was forgotten with the link: its pins stayed until the process ended.
TEST_F(ReplicationTest, AMemberThatLeavesTheListWhileItIsAwayIsToldGoodbyeWhenItIsBack) {
  auto members = Make(2, 1);
  const auto publisher = members[1].Connect();
  PublishPages(*publisher, kPages);
  const auto store = members[0].Connect();
  AwaitReadable(*store, TestPage(1));
  members.hub().Stall(members[1].fabric(), true);
  EXPECT_FALSE(IsReadable(*store, TestPage(2)));
  members[0].Await("peers{state=\"down\"}", 1);
  members[0].membership().Tell({members[0].self()});
  members[0].Await("peers{state=\"down\"}", 0);
  members.hub().Stall(members[1].fabric(), false);
  members[1].Await("pins", 1);
  members[0].membership().Tell(members.All());
  members[1].Await("pins", 0);
  members[1].Await("lost_clients", 0);
}

// It publishes what it reads, so it needs the whole header.
TEST_F(ReplicationTest, AMemberIsToldOfAPageWithItsWholeHeader) {
  auto members = Make(1, 2);
  members[0].membership().Tell(
      {members[0].self(), {.name = "third", .address = "loopback:1", .incarnation = 1}});
  members[0].Await("peers{state=\"down\"}", 1);
  const auto store = members[0].Connect(5);
  PublishPages(*store, 1);
  members[0].Await("pages", 1);
  const auto third = Introduced(members, "third");
  const auto reply = third->Ask<FetchReply>(PeerFetch{5, {TestPage(0)}});
  ASSERT_EQ(reply.pages.size(), 1);
  const PageHeader published = TestHeader(TestPage(0));
  EXPECT_EQ(reply.pages[0].header.key, published.key);
  EXPECT_EQ(reply.pages[0].header.information, published.information);
  EXPECT_EQ(reply.pages[0].header.positions, published.positions);
}

TEST_F(ReplicationTest, AMemberThatIsNotKnownYetBreaksNoRule) {
  auto members = Make(2, 2);
  EXPECT_TRUE(Introduced(members, "later")->IsClosedByService());
  members[0].Await("unknown_members_total", 1);
  EXPECT_EQ(members[0].Count("refused_connections_total"), 0);
  EXPECT_TRUE(Introduced(members, members[0].self().name)->IsClosedByService());
  members[0].Await("refused_connections_total", 1);
  EXPECT_EQ(members[0].Count("unknown_members_total"), 1);
}

TEST_F(ReplicationTest, AMemberBreaksNoRuleWhereThisOneWasGivenNone) {
  LoopbackService alone(16 * kTestPageBytes);
  EXPECT_TRUE(Introduced(alone.hub(), alone.address(), "other")->IsClosedByService());
  const absl::Time give_up = Soon();
  while (alone.Metric("pinboard_service_unknown_members_total") == 0 && SteadyNow() < give_up) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(alone.Metric("pinboard_service_unknown_members_total"), 1);
  EXPECT_EQ(alone.Metric("pinboard_service_refused_connections_total"), 0);
}

// Its loss may be seen later: behind a network that lets nothing through one way, much later.
TEST_F(ReplicationTest, AMemberThatConnectsAgainEndsItsEarlierConnection) {
  auto members = Make(2, 2);
  auto listed = members.All();
  listed.push_back({.name = "third", .address = "loopback:1", .incarnation = 1});
  members[0].membership().Tell(listed);
  members[0].Await("peers{state=\"down\"}", 1);
  const auto earlier = Introduced(members, "third");
  const auto later = Introduced(members, "third");
  EXPECT_TRUE(earlier->IsClosedByService());
  EXPECT_EQ(members[0].Count("refused_connections_total"), 0);
}

// It was offered pages as one of the two for good: the next one ended the service.
TEST_F(ReplicationTest, AConnectionIsOfOneMember) {
  auto members = Make(1, 2);
  members[0].membership().Tell({members[0].self(),
                                {.name = "third", .address = "loopback:1", .incarnation = 1},
                                {.name = "fourth", .address = "loopback:1", .incarnation = 1}});
  members[0].Await("peers{state=\"down\"}", 2);
  const auto both = Introduced(members, "third");
  both->Send(Introduce{"fourth", 1});
  EXPECT_TRUE(both->IsClosedByService());
  members[0].Await("refused_connections_total", 1);
  const auto store = members[0].Connect();
  PublishPages(*store, kPages);
  members[0].Await("pages", kPages);
}

// Who had nobody to look at when it started never looked at anybody.
TEST_F(ReplicationTest, AMemberThatStartedAloneLeavesOneThatTakesNothingIn) {
  auto members = Make(1, 1);
  members[0].membership().Tell(
      {members[0].self(), {.name = "deaf", .address = "loopback:1", .incarnation = 1}});
  members[0].Await("peers{state=\"down\"}", 1);
  const auto store = members[0].Connect();
  const auto deaf = Introduced(members, "deaf");
  members[0].Await("clients", 2);
  members.hub().Stall(deaf->fabric(), true);
  for (std::uint64_t sequence = 0; sequence < 5000; ++sequence) store->DropSequence(sequence);
  members[0].Await("clients", 1);
}

// A connection without traffic was left alone, until TCP tried again: after as long as the fault.
TEST_F(ReplicationTest, AMemberThatAnswersNoOfferIsLeftOnBothConnections) {
  auto members = Make(2, 2);
  const auto store = members[0].Connect();
  const double connections = members[1].Count("connections_total");
  members.hub().Stall(members[1].fabric(), true);
  PublishPages(*store, kPages);
  members[0].Await("peers{state=\"down\"}", 1);
  members.hub().Stall(members[1].fabric(), false);
  AwaitMore(members[1], "connections_total", connections);
}

TEST_F(ReplicationTest, AMemberThatConnectsAgainIsConnectedToAgain) {
  ServerOptions options = LoopbackMembers::Options(256 * kTestPageBytes, 1);
  options.replication.answer_timeout = absl::Milliseconds(100);
  LoopbackMembers members(2, options);
  absl::SleepFor(options.replication.answer_timeout);
  const double connections = members[1].Count("connections_total");
  const auto again = Introduced(members, members[1].self().name);
  AwaitMore(members[1], "connections_total", connections);
}

TEST_F(ReplicationTest, AMemberThatIsTakenOffTheListIsLeft) {
  auto members = Make(3, 2);
  const auto store = members[0].Connect();
  auto listed = members.All();
  listed.pop_back();
  members[0].membership().Tell(listed);
  members[0].Await("peers{state=\"up\"}", 1);
  PublishPages(*store, kPages);
  members[1].Await("pages", kPages);
  EXPECT_EQ(members[2].Count("pages"), 0);
}

}  // namespace
}  // namespace pinboard::cache_service
