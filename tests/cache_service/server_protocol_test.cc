// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The server's half of the protocol, spoken by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/negotiation.h"
#include "tests/cache_service/daemon.h"
#include "tests/cache_service/loopback_service.h"
#include "tests/cache_service/raw_client.h"
#include "tests/cache_service/test_pages.h"

namespace pinboard::cache_service {
namespace {

constexpr int kPages = 16;

class ServerProtocolTest : public ::testing::Test {
 protected:
  int Leasable(RawClient& client) {
    for (std::uint32_t count = kPages; count > 0; --count) {
      const auto reply = client.Ask<LeaseReply>(LeaseRequest{count, kTestPageBytes});
      if (reply.code != 0) continue;
      ReturnSlabs back;
      for (const SlabLocation& slab : reply.slabs) back.slabs.push_back(slab.slab);
      client.Send(back);
      return static_cast<int>(count);
    }
    return 0;
  }

  Daemon daemon_{kPages * kTestPageBytes};
};

TEST_F(ServerProtocolTest, AgreesOnTheHighestVersionBothSpeak) {
  RawClient client(daemon_.address());
  Hello hello;
  hello.max_version = 999;
  const Welcome welcome = client.Ask<Welcome>(hello);
  EXPECT_EQ(welcome.version, kMaxProtocolVersion);
  EXPECT_NE(welcome.incarnation, 0);
  EXPECT_EQ(welcome.max_page_bytes, kPages * kTestPageBytes);
}

TEST_F(ServerProtocolTest, RefusesAVersionItDoesNotSpeakAndSaysWhy) {
  RawClient client(daemon_.address());
  Hello hello;
  hello.min_version = kMaxProtocolVersion + 1;
  hello.max_version = kMaxProtocolVersion + 2;
  client.Send(hello);
  const Error error = client.Receive<Error>().message;
  EXPECT_EQ(error.code, static_cast<int>(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(error.text, ::testing::HasSubstr("update the older one"));
  EXPECT_TRUE(client.IsClosedByService());
}

TEST_F(ServerProtocolTest, AnOldClientIsToldOfMissesAsItAlwaysWas) {
  RawClient client(daemon_.address());
  EXPECT_EQ(client.Greet().features, 0);
  const auto reply = client.Ask<FetchReply>(Fetch{{TestPage(1), TestPage(2)}});
  ASSERT_EQ(reply.pages.size(), 2);
  EXPECT_EQ(reply.pages[0].miss, MissCause::kUnknown);
}

/// Which pages of its next Fetch a client is told of, and in which messages.
class Answers {
 public:
  explicit Answers(RawClient& client) : client_(client) {
    On<FetchReply>([this](const FetchedPage& page) {
      const bool found = page.miss == MissCause::kNone;
      EXPECT_EQ(page.header.positions, found ? TestHeader(TestPage(1)).positions : kNone);
      told_.push_back(absl::StrCat("FetchReply ", found ? "hit " : "miss ", page.index));
    });
    On<FetchHits>([this](const FoundPage& page) {
      EXPECT_EQ(page.header, TestHeader(TestPage(1)).fetched());
      told_.push_back(absl::StrCat("FetchHits ", page.index));
    });
    On<FetchMisses>([this](const MissedPage& page) {
      told_.push_back(absl::StrCat("FetchMisses ", page.index));
    });
  }
  std::vector<std::string> To(const Fetch& fetch) {
    client_.Send(fetch);
    client_.Ask<StatsReply>(StatsRequest{});  // its turn comes after that
    return told_;
  }

 private:
  static constexpr std::array<std::int32_t, kPageRows> kNone{};

  template <typename Message, typename Told>
  void On(Told told) {
    client_.fabric().OnMessage(static_cast<std::uint8_t>(Message::kType),
                               [told](transport::PeerId, absl::Span<const std::byte> payload) {
                                 const auto message = DecodeMessage<Message>(payload)->message;
                                 for (const auto& page : message.pages) told(page);
                               });
  }

  RawClient& client_;
  std::vector<std::string> told_;
};

TEST_F(ServerProtocolTest, HitsAndMissesComeInTheMessagesThatWereAgreedOn) {
  for (const bool short_hits : {false, true}) {
    for (const bool short_misses : {false, true}) {
      RawClient client(daemon_.address());
      Hello hello;
      hello.group = short_hits * 2 + short_misses;
      hello.process = CurrentProcess();
      hello.features =
          (short_hits ? kFeatureShortHits : 0) | (short_misses ? kFeatureShortMisses : 0);
      ASSERT_EQ(client.Ask<Welcome>(hello).features, hello.features);
      const auto leased = client.Ask<LeaseReply>(LeaseRequest{2, kTestPageBytes});
      client.Send(Publish{{{leased.slabs.at(0).slab, TestHeader(TestPage(1))},
                           {leased.slabs.at(1).slab, TestHeader(TestPage(2))}}});
      client.Send(Drop{{TestPage(2)}});
      EXPECT_THAT(
          Answers(client).To(Fetch{{TestPage(2), TestPage(1)}}),
          ::testing::UnorderedElementsAre(short_hits ? "FetchHits 1" : "FetchReply hit 1",
                                          short_misses ? "FetchMisses 0" : "FetchReply miss 0"));
    }
  }
}

TEST_F(ServerProtocolTest, ANewerClientGetsTheFeaturesThatBothHave) {
  RawClient client(daemon_.address());
  Hello hello;
  hello.max_version = 999;
  hello.features = ~std::uint64_t{0};
  EXPECT_EQ(client.Ask<Welcome>(hello).features, kMemberFeatures);
  const auto leased = client.Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
  client.Send(Publish{{{leased.slabs.at(0).slab, TestHeader(TestPage(1))}}});
  client.Send(Drop{{TestPage(1)}});
  const auto misses = client.Ask<FetchMisses>(Fetch{{TestPage(1)}});
  ASSERT_EQ(misses.pages.size(), 1);
  EXPECT_EQ(misses.pages[0].miss, MissCause::kDropped);
  const auto late = client.Ask<FetchMisses>(Fetch{{TestPage(1, 2), TestPage(3)}});  // waited for
  ASSERT_EQ(late.pages.size(), 2);
  EXPECT_EQ(late.pages[1].miss, MissCause::kUnknown);
}

TEST_F(ServerProtocolTest, ClosesAClientThatInspectsAndDidNotSayThatItWould) {
  RawClient old(daemon_.address());
  ASSERT_EQ(old.Greet().features, 0);
  old.Send(Inspect{});
  EXPECT_TRUE(old.IsClosedByService());
}

TEST_F(ServerProtocolTest, ClosesAClientThatDoesNotSayHelloFirst) {
  RawClient client(daemon_.address());
  client.Send(LeaseRequest{1, 64});
  EXPECT_TRUE(client.IsClosedByService());
}

// Each has a worker of UCX's: strangers that say nothing used them up.
TEST_F(ServerProtocolTest, ClosesAClientThatSaysNothingInTenSeconds) {
  EXPECT_TRUE(RawClient(daemon_.address()).IsClosedByService());
}

TEST_F(ServerProtocolTest, ClosesAClientThatTouchesASlabOfAnother) {
  RawClient owner(daemon_.address());
  owner.Greet();
  const auto leased = owner.Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
  ASSERT_EQ(leased.slabs.size(), 1);
  RawClient thief(daemon_.address());
  thief.Greet();
  thief.Send(Publish{{{leased.slabs[0].slab, TestHeader(TestPage(1))}}});
  EXPECT_TRUE(thief.IsClosedByService());
  owner.Send(Publish{{{leased.slabs[0].slab, TestHeader(TestPage(1))}}});
  EXPECT_EQ(owner.Ask<FetchReply>(Fetch{{TestPage(1)}}).pages.at(0).miss, MissCause::kNone);
}

// A fetch that waited was forgotten where a later page of the same message broke the protocol.
TEST_F(ServerProtocolTest, AFetchThatWaitsIsAnsweredThoughThePublisherIsClosed) {
  RawClient publisher(daemon_.address());
  publisher.Greet();
  const LeaseReply lease = publisher.Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
  ASSERT_EQ(lease.slabs.size(), 1);
  RawClient reader(daemon_.address());
  reader.Greet();
  reader.Send(Fetch{{TestPage(1)}}, 5);
  reader.Ask<StatsReply>(StatsRequest{});  // the fetch has arrived
  publisher.Send(Publish{{{lease.slabs[0].slab, TestHeader(TestPage(1))},
                          {lease.slabs[0].slab + 1, TestHeader(TestPage(2))}}});
  const Envelope<FetchReply> reply = reader.Receive<FetchReply>();
  EXPECT_EQ(reply.request, 5);
  ASSERT_EQ(reply.message.pages.size(), 1);
  EXPECT_EQ(reply.message.pages[0].miss, MissCause::kNone);
  EXPECT_TRUE(publisher.IsClosedByService());
}

TEST_F(ServerProtocolTest, ALostConnectionOfALivingProcessQuarantinesItsSlabs) {
  RawClient observer(daemon_.address());
  observer.Greet();
  Welcome first_life;
  {
    RawClient client(daemon_.address());
    first_life = client.Greet();
    ASSERT_EQ(client.Ask<LeaseReply>(LeaseRequest{5, kTestPageBytes}).slabs.size(), 5);
  }  // no Goodbye; this process goes on
  EXPECT_EQ(Leasable(observer), kPages - 5);
  const std::string name = "pinboard_service_slabs{state=\"quarantined\"}";
  std::uint64_t quarantined = 0;
  while (quarantined == 0) {
    for (const StatsEntry& entry : observer.Ask<StatsReply>(StatsRequest{}).entries) {
      if (entry.name == name) quarantined = entry.value;
    }
  }
  EXPECT_EQ(quarantined, 5);
  EXPECT_EQ(Leasable(observer), kPages - 5);

  // The same process connects again and tells that nothing of the first connection is used.
  RawClient again(daemon_.address());
  again.Greet();
  again.Send(Goodbye{first_life.client});
  EXPECT_EQ(Leasable(again), kPages);
}

TEST_F(ServerProtocolTest, AGoodbyeForAnotherGroupIsRefused) {
  RawClient owner(daemon_.address());
  const Welcome welcome = owner.Greet(1);
  RawClient stranger(daemon_.address());
  stranger.Greet(2);
  stranger.Send(Goodbye{welcome.client});
  EXPECT_TRUE(stranger.IsClosedByService());
  EXPECT_EQ(Leasable(owner), kPages);
}

TEST_F(ServerProtocolTest, AClientsIdSaysNothingOfHowManyThereAre) {
  constexpr std::uint64_t kMoreThanEverConnect = std::uint64_t{1} << 40;
  std::uint64_t last = 0;
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t id = RawClient(daemon_.address()).Greet().client;
    EXPECT_GT(std::max(id, last) - std::min(id, last), kMoreThanEverConnect);
    last = id;
  }
}

TEST_F(ServerProtocolTest, AMissSaysItsCause) {
  RawClient client(daemon_.address());
  client.Greet();
  const auto leased = client.Ask<LeaseReply>(LeaseRequest{1, kTestPageBytes});
  client.Send(Publish{{{leased.slabs.at(0).slab, TestHeader(TestPage(1, 5))}}});
  EXPECT_EQ(client.Ask<FetchReply>(Fetch{{TestPage(1, 4)}}).pages.at(0).miss,
            MissCause::kGeneration);
  EXPECT_EQ(client.Ask<FetchReply>(Fetch{{TestPage(1, 6)}}).pages.at(0).miss, MissCause::kUnknown);
  client.Send(Drop{{TestPage(1, 5)}});
  EXPECT_EQ(client.Ask<FetchReply>(Fetch{{TestPage(1, 5)}}).pages.at(0).miss, MissCause::kDropped);
}

TEST_F(ServerProtocolTest, AnImpossibleLeaseIsRefusedAndTheConnectionStays) {
  RawClient client(daemon_.address());
  client.Greet();
  for (const LeaseRequest& request :
       {LeaseRequest{0xffffffff, 64}, LeaseRequest{1, 0}, LeaseRequest{1, ~std::uint64_t{0}},
        LeaseRequest{60000, 65536}}) {
    const auto reply = client.Ask<LeaseReply>(request);
    EXPECT_NE(reply.code, 0);
    EXPECT_FALSE(reply.text.empty());
  }
  EXPECT_EQ(Leasable(client), kPages);
}

// The client reads the first pages while the next are pinned.
template <typename Reply>
void ExpectAnswersInParts(std::uint64_t features) {
  constexpr std::uint32_t kMany = 300;
  const Daemon daemon(2 * kMany * kTestPageBytes);
  RawClient client(daemon.address());
  client.Ask<Welcome>(Hello{.features = features, .process = CurrentProcess()});
  const auto leased = client.Ask<LeaseReply>(LeaseRequest{kMany, kTestPageBytes});
  ASSERT_EQ(leased.slabs.size(), kMany);
  Publish publish;
  Fetch fetch;
  for (std::uint32_t i = 0; i < kMany; ++i) {
    publish.pages.push_back({leased.slabs[i].slab, TestHeader(TestPage(i))});
    fetch.pages.push_back(TestPage(i));
  }
  client.Send(publish);
  client.Send(fetch);
  const auto pages = [](const std::vector<Reply>& replies) {
    std::vector<std::uint32_t> indices;
    for (const Reply& reply : replies) {
      for (const auto& page : reply.pages) indices.push_back(page.index);
    }
    return indices;
  };
  const auto replies = client.ReceiveUntil<Reply>(
      [&](const std::vector<Reply>& so_far) { return pages(so_far).size() >= kMany; });
  EXPECT_GE(replies.size(), 3);
  std::vector<std::uint32_t> all(kMany);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(pages(replies), all);
}

TEST(ServerRepliesTest, ALargeFetchIsAnsweredInPartsEachPageOnce) {
  ExpectAnswersInParts<FetchReply>(0);
  ExpectAnswersInParts<FetchHits>(kFeatureShortHits);
}

// Each costs the service a hundred times what it costs its client: one that did not wait for the
// answers held up all others.
TEST(ServerQuestionsTest, OfManyThatAClientAsksAtOnceTheLastIsAnswered) {
  constexpr std::uint64_t kMany = 1000;
  LoopbackService service(kPages * kTestPageBytes);
  RawClient client(service.hub().MakeFabric(), service.address());
  client.Ask<Welcome>(Hello{.features = kFeatureInspection, .process = CurrentProcess()});
  std::vector<std::uint64_t> answered;
  const auto keep = [&answered](transport::PeerId, absl::Span<const std::byte> payload) {
    answered.push_back(DecodeMessage<InspectReply>(payload)->request);
  };
  client.fabric().OnMessage(static_cast<std::uint8_t>(MessageType::kInspectReply), keep);
  service.hub().Stall(service.fabric(), true);
  for (std::uint64_t request = 1; request <= kMany; ++request) client.Send(Inspect{}, request);
  service.hub().Stall(service.fabric(), false);
  client.Ask<StatsReply>(StatsRequest{});  // its turn comes after that
  ASSERT_FALSE(answered.empty());
  EXPECT_EQ(answered.back(), kMany);
  EXPECT_LT(answered.size(), kMany);
}

TEST(ServerEvictionTest, AboveTheHighMarkPagesLeaveWithoutAnybodyAsking) {
  constexpr int kArena = 100;
  const Daemon daemon(kArena * kTestPageBytes, "127.0.0.1:0", "score", "90:50");
  RawClient client(daemon.address());
  client.Greet();
  const auto leased = client.Ask<LeaseReply>(LeaseRequest{kArena, kTestPageBytes});
  ASSERT_EQ(leased.slabs.size(), kArena);
  Publish publish;
  for (std::uint32_t i = 0; i < kArena; ++i) {
    publish.pages.push_back({leased.slabs[i].slab, TestHeader(TestPage(i), static_cast<int>(i))});
  }
  client.Send(publish);
  const auto stat = [&client](const std::string& name) {
    for (const StatsEntry& entry : client.Ask<StatsReply>(StatsRequest{}).entries) {
      if (entry.name == name) return entry.value;
    }
    return ~std::uint64_t{0};
  };
  const absl::Time give_up = Soon();
  while (stat("pinboard_service_arena_used_bytes") > kArena * kTestPageBytes / 2) {
    ASSERT_LT(absl::Now(), give_up);
  }
  EXPECT_EQ(stat("pinboard_service_evictions_total{cause=\"watermark\"}"), kArena / 2);
  Fetch fetch;
  for (std::uint32_t i = 0; i < kArena; ++i) fetch.pages.push_back(TestPage(i));
  for (const FetchedPage& page : client.Ask<FetchReply>(fetch).pages) {
    EXPECT_EQ(page.miss, page.index < kArena / 2 ? MissCause::kEvicted : MissCause::kNone);
  }
}

}  // namespace
}  // namespace pinboard::cache_service
