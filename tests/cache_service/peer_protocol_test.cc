// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A member that does not keep to what members say to each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/negotiation.h"
#include "cache_service/protocol/send_message.h"
#include "cache_service/replication/peer_link.h"
#include "tests/cache_service/loopback_members.h"

namespace pinboard::cache_service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kGroup = 1;

/// Listens, and says nothing but what it is told to answer.
class SilentMember {
 public:
  explicit SilentMember(transport::LoopbackHub& hub) : fabric_(hub.MakeFabric()) {
    fabric_->OnAccepted([this](transport::PeerId) { ++accepted_; });
    address_ = *fabric_->Listen("loopback:0");
  }
  ~SilentMember() {
    stop_ = true;
    fabric_->Wake();
    if (thread_.joinable()) thread_.join();
  }
  Member self() const { return {.name = address_, .address = address_, .incarnation = 1}; }
  int accepted() const { return accepted_; }
  void Start() {
    thread_ = std::thread([this] {
      while (!stop_) fabric_->WaitUntil(absl::InfiniteFuture());
    });
  }

  transport::Fabric& fabric() { return *fabric_; }
  template <typename Message, typename Handler>
  void Answer(Handler handler) {
    fabric_->OnMessage(static_cast<std::uint8_t>(Message::kType),
                       [handler](transport::PeerId peer, absl::Span<const std::byte> bytes) {
                         handler(peer, *DecodeMessage<Message>(bytes));
                       });
  }

 protected:
  const std::unique_ptr<transport::Fabric> fabric_;

 private:
  std::string address_;
  std::atomic<int> accepted_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

/// Greets a member, says that it has pages of kGroup, and answers each question for one with the
/// generation after, or without its whole header.
class WrongMember final : public SilentMember {
 public:
  WrongMember(transport::LoopbackHub& hub, bool short_hits) : SilentMember(hub) {
    Answer<Hello>([this](transport::PeerId peer, const Envelope<Hello>&) {
      SendMessage(*fabric_, peer, 0, Welcome{.version = 1, .features = kMemberFeatures});
      SendMessage(*fabric_, peer, 0, Segments{});
    });
    Answer<Introduce>([this](transport::PeerId peer, const Envelope<Introduce>&) {
      SendMessage(*fabric_, peer, 0, PeerGroups{{{kGroup, kGroupHasPages}}});
    });
    Answer<PeerFetch>([this, short_hits](transport::PeerId peer, const Envelope<PeerFetch>& fetch) {
      if (short_hits) return SendMessage(*fabric_, peer, fetch.request, FetchHits{{{}}});
      PageRef page = fetch.message.pages.at(0);
      ++page.generation;
      FetchReply reply;
      reply.pages.push_back({.index = 0, .miss = MissCause::kNone, .header = TestHeader(page)});
      SendMessage(*fabric_, peer, fetch.request, reply);
    });
  }
};

TEST(PeerProtocolTest, AMemberThatDoesNotGreetIsLeftAndTriedAgain) {
  LoopbackMembers members(1, LoopbackMembers::Options(64 * kTestPageBytes, 1));
  SilentMember silent(members.hub());
  silent.Start();
  auto all = members.All();
  all.push_back(silent.self());
  members[0].membership().Tell(all);
  const absl::Time give_up = Soon();
  while (silent.accepted() < 2 && SteadyNow() < give_up) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_GE(silent.accepted(), 2);
}

TEST(PeerProtocolTest, AMemberThatSaysAnErrorIsLeftAndTriedAgain) {
  LoopbackMembers members(1, LoopbackMembers::Options(64 * kTestPageBytes, 1));
  SilentMember errs(members.hub());
  errs.Answer<Hello>([&errs](transport::PeerId peer, const Envelope<Hello>&) {
    SendMessage(errs.fabric(), peer, 0, Welcome{.version = 1, .features = kMemberFeatures});
    SendMessage(errs.fabric(), peer, 0, Segments{});
  });
  errs.Answer<Introduce>([&errs](transport::PeerId peer, const Envelope<Introduce>&) {
    SendMessage(errs.fabric(), peer, 0, Error{13, "it cannot go on"});
  });
  errs.Start();
  auto all = members.All();
  all.push_back(errs.self());
  members[0].membership().Tell(all);
  const absl::Time give_up = Soon();
  while (errs.accepted() < 2 && SteadyNow() < give_up) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_GE(errs.accepted(), 2);
  EXPECT_EQ(members[0].Count("peer_protocol_errors_total"), 0);
}

class PeerLinkTest : public ::testing::Test {
 protected:
  PeerLinkTest() {
    other_.Answer<Hello>([this](transport::PeerId peer, const Envelope<Hello>&) {
      const Welcome welcome{.version = 1, .features = kMemberFeatures, .client = ++clients_};
      SendMessage(other_.fabric(), peer, 0, welcome);
      SendMessage(other_.fabric(), peer, 0, Segments{});
    });
    other_.Answer<Goodbye>([this](transport::PeerId, const Envelope<Goodbye>& goodbye) {
      left_.push_back(goodbye.message.client);
    });
  }
  std::unique_ptr<PeerLink> Connect() {
    PeerLink::Handlers handlers{.up = [] {}, .down = [] {}};
    auto link = std::make_unique<PeerLink>(
        *fabric_, router_, ended_, other_.self().address, Introduce{"self", 1},
        [] { return std::nullopt; }, absl::Seconds(30), std::move(handlers));
    while (!link->up() && SteadyNow() < give_up_) {
      link->Tick(SteadyNow());
      other_.fabric().Progress();
      fabric_->Progress();
    }
    EXPECT_TRUE(link->up());
    return link;
  }
  const std::vector<std::uint64_t>& Left() {
    while (other_.fabric().Progress()) {
    }
    return left_;
  }

  transport::LoopbackHub hub_;
  SilentMember other_{hub_};
  const std::unique_ptr<transport::Fabric> fabric_ = hub_.MakeFabric();
  ReplyRouter router_{*fabric_};
  std::vector<ServiceConnectionPtr> ended_;

 private:
  const absl::Time give_up_ = Soon();
  std::uint64_t clients_ = 0;
  std::vector<std::uint64_t> left_;
};

// What was pinned stayed until the process ended.
TEST_F(PeerLinkTest, OneThatEndsWhileAPageIsReadSaysGoodbye) {
  auto link = Connect();
  const ServiceConnectionPtr reads = link->connection();
  reads->Hold();
  link.reset();
  EXPECT_THAT(Left(), ElementsAre(1));
  reads->Release();
}

TEST_F(PeerLinkTest, OneThatEndsSaysTheGoodbyesOfEarlierConnections) {
  Connect()->Suspect("test");
  EXPECT_THAT(Left(), IsEmpty());
  Connect().reset();
  EXPECT_THAT(Left(), ElementsAre(1, 2));
}

TEST_F(PeerLinkTest, TheNextOneSaysGoodbyeForWhatIsNotReadAnyMore) {
  auto link = Connect();
  const ServiceConnectionPtr reads = link->connection();
  reads->Hold();
  link->Suspect("test");
  link.reset();
  link = Connect();
  link->Tick(SteadyNow());
  EXPECT_THAT(Left(), IsEmpty());
  reads->Release();
  link->Tick(SteadyNow());
  EXPECT_THAT(Left(), ElementsAre(1));
}

// It was taken for the end of a greeting that went well.
TEST(PeerProtocolTest, AMemberThatSaysAnErrorWithoutACodeIsLeftAndCounted) {
  LoopbackMembers members(1, LoopbackMembers::Options(64 * kTestPageBytes, 1));
  SilentMember wrong(members.hub());
  wrong.Answer<Hello>([&wrong](transport::PeerId peer, const Envelope<Hello>&) {
    SendMessage(wrong.fabric(), peer, 0, Error{0, "fine"});
  });
  wrong.Start();
  auto all = members.All();
  all.push_back(wrong.self());
  members[0].membership().Tell(all);
  const absl::Time give_up = Soon();
  while (members[0].Count("peer_protocol_errors_total") < 1 && SteadyNow() < give_up) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_GE(members[0].Count("peer_protocol_errors_total"), 1);
}

class WrongMemberTest : public ::testing::TestWithParam<bool> {};

TEST_P(WrongMemberTest, IsLeftAndCounted) {
  LoopbackMembers members(1, LoopbackMembers::Options(64 * kTestPageBytes, 1));
  WrongMember wrong(members.hub(), GetParam());
  wrong.Start();
  auto all = members.All();
  all.push_back(wrong.self());
  members[0].membership().Tell(all);
  const auto store = members[0].Connect(kGroup);
  const absl::Time give_up = Soon();
  do {  // it may not be connected yet
    EXPECT_TRUE(absl::IsNotFound(FetchTestPage(*store, TestPage(1)).pin.status()));
  } while (members[0].Count("peer_protocol_errors_total") < 1 && SteadyNow() < give_up);
  EXPECT_GE(members[0].Count("peer_protocol_errors_total"), 1);
  EXPECT_EQ(members[0].Count("pages"), 0);
  EXPECT_EQ(store->stats().protocol_errors, 0U) << "to its clients it is a miss";
}

INSTANTIATE_TEST_SUITE_P(AnotherPageOrNoWholeHeader, WrongMemberTest, ::testing::Bool());

}  // namespace
}  // namespace pinboard::cache_service
