// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// This build with services and clients of other ages.
#include "cache_service/protocol/negotiation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>

#include "absl/time/clock.h"
#include "base/clock.h"
#include "cache_service/client/stats_client.h"
#include "cache_service/protocol/send_message.h"
#include "cache_service/remote_page_store.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/forwarding_fabric.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;

Hello Offer(std::uint16_t min_version, std::uint16_t max_version, std::uint64_t features = 0) {
  Hello hello;
  hello.min_version = min_version;
  hello.max_version = max_version;
  hello.features = features;
  return hello;
}

TEST(NegotiationTest, TheHighestVersionAndTheFeaturesOfBothAreAgreedOn) {
  const auto agreed = Agree(Offer(0, 999, ~std::uint64_t{0}));
  ASSERT_EQ(agreed.status(), absl::OkStatus());
  EXPECT_EQ(agreed->version, kMaxProtocolVersion);
  EXPECT_EQ(agreed->features, kFeatures);
  EXPECT_EQ(Agree(Offer(1, 1))->features, 0);
}

TEST(NegotiationTest, WithoutACommonVersionBothSidesAreNamed) {
  const absl::Status later = Agree(Offer(kMaxProtocolVersion + 1, 999)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(later));
  EXPECT_THAT(std::string(later.message()), HasSubstr("update the older one"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Agree(Offer(0, kMinProtocolVersion - 1)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Agree(Offer(2, 1)).status()));
}

TEST(NegotiationTest, AnAnswerOutsideTheOfferIsRefused) {
  EXPECT_EQ(CheckAgreed(Offer(1, 3, 5), {.version = 2, .features = 4}), absl::OkStatus());
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckAgreed(Offer(1, 3), {.version = 4})));
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckAgreed(Offer(2, 3), {.version = 1})));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(CheckAgreed(Offer(1, 3, 5), {.version = 2, .features = 2})));
}

/// Answers Hello with the given Welcome, or Error, every Fetch as told, every Lease with no slab,
/// or, once told to lend, with its first one, and refuses every LeaseAhead.
class OtherService {
 public:
  using OnFetch =
      std::function<void(transport::Fabric&, transport::PeerId, const Envelope<Fetch>&)>;

  OtherService(const Welcome& welcome, const OnFetch& on_fetch, Segments segments = {},
               bool lends = false, const std::optional<Error>& refusal = std::nullopt)
      : fabric_(hub_.MakeFabric()) {
    if (lends) {
      memory_ = *fabric_->Allocate(kLentBytes);
      const auto key = memory_->remote_key();
      segments.segments.push_back({1, kLentBytes, {key.begin(), key.end()}});
    }
    fabric_->OnMessage(static_cast<std::uint8_t>(MessageType::kHello),
                       [this, welcome, segments, refusal](transport::PeerId peer,
                                                          absl::Span<const std::byte> bytes) {
                         offered_ = DecodeMessage<Hello>(bytes)->message.features;
                         if (refusal) return SendMessage(*fabric_, peer, 0, *refusal);
                         SendMessage(*fabric_, peer, 0, welcome);
                         SendMessage(*fabric_, peer, 0, segments);
                       });
    fabric_->OnMessage(static_cast<std::uint8_t>(MessageType::kFetch),
                       [this, on_fetch](transport::PeerId peer, absl::Span<const std::byte> bytes) {
                         on_fetch(*fabric_, peer, *DecodeMessage<Fetch>(bytes));
                       });
    fabric_->OnMessage(static_cast<std::uint8_t>(MessageType::kUnpin),
                       [this](transport::PeerId, absl::Span<const std::byte> bytes) {
                         unpinned_ += DecodeMessage<Unpin>(bytes)->message.slabs.size();
                       });
    fabric_->OnMessage(static_cast<std::uint8_t>(MessageType::kLease),
                       [this](transport::PeerId peer, absl::Span<const std::byte> bytes) {
                         const auto lease = *DecodeMessage<LeaseRequest>(bytes);
                         LeaseReply reply;
                         if (memory_ != nullptr) reply.slabs.resize(1, {.slab = 1, .segment = 1});
                         SendMessage(*fabric_, peer, lease.request, reply);
                       });
    fabric_->OnMessage(static_cast<std::uint8_t>(MessageType::kLeaseAhead),
                       [this](transport::PeerId peer, absl::Span<const std::byte> bytes) {
                         ++asked_ahead_;
                         LeaseReply refusal;
                         refusal.code = static_cast<std::uint8_t>(absl::StatusCode::kUnavailable);
                         SendMessage(*fabric_, peer, DecodeMessage<LeaseAhead>(bytes)->request,
                                     refusal);
                       });
    fabric_->OnMessage(static_cast<std::uint8_t>(MessageType::kInspect),
                       [this](transport::PeerId peer, absl::Span<const std::byte> bytes) {
                         const auto asked = *DecodeMessage<Inspect>(bytes);
                         const std::uint64_t cursor = asked.message.cursor;
                         const std::uint64_t next = cursor == 7 ? std::uint64_t{1} << 32 : cursor;
                         SendMessage(*fabric_, peer, asked.request,
                                     InspectReply{.next = next, .extents = {{}}});
                       });
    address_ = *fabric_->Listen("other:0");
    thread_ = std::thread([this] {
      while (!stop_) fabric_->WaitUntil(absl::InfiniteFuture());
    });
  }
  ~OtherService() {
    stop_ = true;
    fabric_->Wake();
    thread_.join();
  }

  using Wrap =
      std::function<std::unique_ptr<transport::Fabric>(std::unique_ptr<transport::Fabric>)>;
  absl::StatusOr<std::unique_ptr<PageStore>> Connect(const Wrap& wrap = {}) {
    return ConnectPageStore(
        [this, wrap]() -> absl::StatusOr<std::unique_ptr<transport::Fabric>> {
          auto fabric = hub_.MakeFabric();
          return wrap ? wrap(std::move(fabric)) : std::move(fabric);
        },
        {address_}, {.group = 1, .name = "test"});
  }
  absl::StatusOr<std::unique_ptr<StatsClient>> ConnectForStats() {
    return StatsClient::Connect(hub_.MakeFabric(), address_, "test", std::nullopt, Soon());
  }
  const std::string& address() const { return address_; }
  std::uint64_t offered() const { return offered_; }
  int asked_ahead() const { return asked_ahead_; }
  std::size_t unpinned() const { return unpinned_; }

 private:
  transport::LoopbackHub hub_;
  static constexpr std::size_t kLentBytes = std::size_t{1} << 20;

  std::unique_ptr<transport::Fabric> fabric_;
  std::unique_ptr<transport::Segment> memory_;
  std::string address_;
  std::atomic<std::uint64_t> offered_ = 0;
  std::atomic<int> asked_ahead_ = 0;
  std::atomic<std::size_t> unpinned_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

void MissAll(transport::Fabric& fabric, transport::PeerId peer, const Envelope<Fetch>& fetch) {
  FetchReply reply;
  for (std::uint32_t i = 0; i < fetch.message.pages.size(); ++i) {
    reply.pages.push_back({.index = i, .miss = MissCause::kEvicted});
  }
  SendMessage(fabric, peer, fetch.request, reply);
}

void MissAllShortly(transport::Fabric& fabric, transport::PeerId peer,
                    const Envelope<Fetch>& fetch) {
  FetchMisses misses;
  for (std::uint32_t i = 0; i < fetch.message.pages.size(); ++i) {
    misses.pages.push_back({i, MissCause::kEvicted});
  }
  SendMessage(fabric, peer, fetch.request, misses);
}

/// Every page in the slab that the service lends.
constexpr SlabLocation kLent{.slab = 1, .segment = 1};

void HitAll(transport::Fabric& fabric, transport::PeerId peer, const Envelope<Fetch>& fetch) {
  FetchReply reply;
  for (const PageRef& page : fetch.message.pages) {
    const auto index = static_cast<std::uint32_t>(reply.pages.size());
    reply.pages.push_back({.index = index, .location = kLent, .header = TestHeader(page)});
  }
  SendMessage(fabric, peer, fetch.request, reply);
}

void HitAllShortly(transport::Fabric& fabric, transport::PeerId peer,
                   const Envelope<Fetch>& fetch) {
  FetchHits hits;
  for (const PageRef& page : fetch.message.pages) {
    const auto index = static_cast<std::uint32_t>(hits.pages.size());
    hits.pages.push_back({index, kLent, TestHeader(page).fetched()});
  }
  SendMessage(fabric, peer, fetch.request, hits);
}

TEST(NegotiationTest, AnOldServiceIsUnderstood) {
  OtherService service({.version = 1, .features = 0}, MissAll);
  const auto store = service.Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  EXPECT_EQ(service.offered(), kFeatures);
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(**store, TestPage(1)).pin.status()));
}

TEST(NegotiationTest, ShortMissesAreUnderstoodWhereTheyWereAgreedOn) {
  OtherService service({.version = 1, .features = kFeatureShortMisses}, MissAllShortly);
  const auto store = service.Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(**store, TestPage(1)).pin.status()));
}

TEST(NegotiationTest, ShortMissesEndAConnectionThatDidNotAgreeOnThem) {
  OtherService service({.version = 1, .features = 0}, MissAllShortly);
  const auto store = service.Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  const absl::Status status = FetchTestPage(**store, TestPage(1)).pin.status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("broke the protocol"));
}

TEST(NegotiationTest, HitsComeToTheSameInEitherMessage) {
  for (const bool is_short : {false, true}) {
    OtherService service({.version = 1, .features = is_short ? kFeatureShortHits : 0},
                         is_short ? HitAllShortly : HitAll, {}, /*lends=*/true);
    const auto store = service.Connect();
    ASSERT_EQ(store.status(), absl::OkStatus());
    const FetchResult hit = FetchTestPage(**store, TestPage(1));
    ASSERT_EQ(hit.pin.status(), absl::OkStatus());
    EXPECT_EQ(hit.page, TestPage(1));
    EXPECT_EQ(hit.header, TestHeader(TestPage(1)).fetched());
    EXPECT_EQ(hit.pin->bytes().size(), kTestPageBytes);
  }
}

TEST(NegotiationTest, ShortHitsEndAConnectionThatDidNotAgreeOnThem) {
  OtherService service({.version = 1, .features = kFeatureShortMisses}, HitAllShortly, {},
                       /*lends=*/true);
  const auto store = service.Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  const absl::Status status = FetchTestPage(**store, TestPage(1)).pin.status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("short hits were not agreed on"));
}

TEST(NegotiationTest, AShortHitThatWasNotAskedForEndsTheConnectionAndIsCounted) {
  const FetchedHeader header{.bytes = 16};
  const FetchHits wrong[] = {{{{0, kLent, header}, {0, kLent, header}}},
                             {{{0, kLent, header}, {2, kLent, header}}},
                             {{{0, kLent, header}, {1, {.slab = 2, .segment = 2}, header}}}};
  for (const FetchHits& hits : wrong) {
    OtherService service(
        {.version = 1, .features = kFeatureShortHits},
        [&hits](transport::Fabric& fabric, transport::PeerId peer, const Envelope<Fetch>& fetch) {
          SendMessage(fabric, peer, fetch.request, hits);
        },
        {}, /*lends=*/true);
    const auto store = service.Connect();
    ASSERT_EQ(store.status(), absl::OkStatus());
    (*store)->Fetch({TestPage(1), TestPage(2)}, Soon());
    int pinned = 0;
    for (const FetchResult& result : CollectFetched(**store)) {
      if (result.pin.ok()) {
        ++pinned;
      } else {
        EXPECT_THAT(std::string(result.pin.status().message()), HasSubstr("broke the protocol"));
      }
    }
    EXPECT_EQ(pinned, 1);
    EXPECT_EQ((*store)->stats().protocol_errors, 1U);
  }
}

TEST(NegotiationTest, PinsOfAFetchThatHasExpiredAreGivenBack) {
  for (const bool is_short : {false, true}) {
    std::optional<Envelope<Fetch>> expired;
    const auto answer_late = [&](transport::Fabric& fabric, transport::PeerId peer,
                                 const Envelope<Fetch>& fetch) {
      if (!expired.has_value()) {
        expired = fetch;
        return;
      }
      (is_short ? HitAllShortly : HitAll)(fabric, peer, *expired);
      MissAll(fabric, peer, fetch);
    };
    OtherService service({.version = 1, .features = is_short ? kFeatureShortHits : 0}, answer_late,
                         {}, /*lends=*/true);
    const auto store = service.Connect();
    ASSERT_EQ(store.status(), absl::OkStatus());
    (*store)->Fetch({TestPage(1), TestPage(2)}, absl::Now() + absl::Milliseconds(100));
    for (const FetchResult& result : CollectFetched(**store)) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(result.pin.status())) << result.pin.status();
    }
    EXPECT_TRUE(absl::IsNotFound(FetchTestPage(**store, TestPage(3)).pin.status()));
    const absl::Time give_up = Soon();
    while (service.unpinned() < 2 && SteadyNow() < give_up) absl::SleepFor(absl::Milliseconds(1));
    EXPECT_EQ(service.unpinned(), 2);
    EXPECT_EQ((*store)->stats().protocol_errors, 0U);
  }
}

TEST(NegotiationTest, AnotherPageThanTheOneAskedForEndsTheConnectionAndIsCounted) {
  OtherService service({.version = 1}, [](transport::Fabric& fabric, transport::PeerId peer,
                                          const Envelope<Fetch>& fetch) {
    PageRef page = fetch.message.pages.at(0);
    ++page.generation;
    FetchReply reply;
    reply.pages.push_back({.index = 0, .miss = MissCause::kNone, .header = TestHeader(page)});
    SendMessage(fabric, peer, fetch.request, reply);
  });
  const auto store = service.Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  EXPECT_EQ((*store)->stats().connections, 1U);
  EXPECT_EQ((*store)->stats().protocol_errors, 0U);
  const absl::Status status = FetchTestPage(**store, TestPage(1)).pin.status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ((*store)->stats().protocol_errors, 1U);
  const absl::Time give_up = Soon();
  while ((*store)->stats().connections < 2 && SteadyNow() < give_up) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ((*store)->stats().connections, 2U);
}

TEST(NegotiationTest, ALeaseOfFewerSlabsThanAskedForEndsTheConnection) {
  OtherService service({.version = 1}, MissAll);
  const auto store = service.Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  const absl::Status status = (*store)->Lease(2, 64, Soon()).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("broke the protocol"));
}

TEST(NegotiationTest, SlabsAreAskedForAheadOnlyWhereThatWasAgreedOn) {
  for (const std::uint64_t features : {std::uint64_t{0}, kFeatureLeasesAhead}) {
    OtherService service({.version = 1, .features = features}, MissAll, {}, /*lends=*/true);
    const auto store = service.Connect();
    ASSERT_EQ(store.status(), absl::OkStatus());
    // One lease behind the other, as often as it may take: each is a reason to ask ahead.
    const absl::Time give_up = Soon();
    for (int i = 0; i < 50 || (features != 0 && service.asked_ahead() == 0); ++i) {
      ASSERT_LT(absl::Now(), give_up);
      ASSERT_EQ((*store)->Lease(1, 64, Soon()).status(), absl::OkStatus());
    }
    // What was sent before has come once this is answered.
    EXPECT_TRUE(absl::IsNotFound(FetchTestPage(**store, TestPage(1)).pin.status()));
    EXPECT_EQ(service.asked_ahead() > 0, features != 0);
  }
}

TEST(NegotiationTest, AnOlderServiceIsNotAskedWhatItHas) {
  OtherService service({.version = 1, .features = 0}, MissAll);
  const auto client = service.ConnectForStats();
  ASSERT_EQ(client.status(), absl::OkStatus());
  EXPECT_EQ(service.offered(), kFeatureInspection);
  const absl::Status status = (*client)->Inspect(0, Soon()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(service.address() + " is an older pinboardd that cannot be inspected"));
}

TEST(NegotiationTest, AServiceThatNeverEndsItsAnswersIsNotAskedForEver) {
  OtherService service({.version = 1, .features = kFeatureInspection}, MissAll);
  const auto client = service.ConnectForStats();
  ASSERT_EQ(client.status(), absl::OkStatus());
  const auto last = (*client)->Inspect(0, Soon());
  ASSERT_EQ(last.status(), absl::OkStatus());
  EXPECT_EQ(last->extents.size(), 1);
  for (const std::uint64_t cursor : {5, 7}) {
    const absl::Status status = (*client)->Inspect(cursor, Soon()).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("its answers do not end")) << cursor;
  }
}

// A service that takes a segment back just then: its key is of no use any more.
TEST(NegotiationTest, ASegmentThatCannotBeMappedEndsTheConnectionOnlyOnceItIsUsed) {
  const Segments gone{{{.segment = 5, .bytes = 4096, .remote_key = {}}}};
  const auto hit = [](transport::Fabric& fabric, transport::PeerId peer,
                      const Envelope<Fetch>& fetch) {
    const PageRef& page = fetch.message.pages.front();
    if (page.key.page == 1) return MissAll(fabric, peer, fetch);
    SendMessage(fabric, peer, fetch.request,
                FetchReply{{{.location = {.slab = 1, .segment = 5},
                             .header = {.key = page.key, .generation = 1, .bytes = 16}}}});
  };
  OtherService service({.version = 1}, hit, gone);
  const auto store = service.Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(FetchTestPage(**store, TestPage(1)).pin.status()));
  const absl::Status used = FetchTestPage(**store, TestPage(2)).pin.status();
  EXPECT_THAT(std::string(used.message()), HasSubstr("not a remote key"));
}

class FabricToTheDying final : public transport::ForwardingFabric {
 public:
  using ForwardingFabric::ForwardingFabric;
  absl::StatusOr<std::unique_ptr<transport::RemoteSegment>> Map(
      transport::PeerId, absl::Span<const std::byte>) override {
    return absl::UnavailableError("it has died or freed it");
  }
};

// One with tenants gives memory and leases it in one breath, and was killed between that and the
// client's look at it: a protocol error was counted.
TEST(NegotiationTest, AServiceThatDiesBeforeItsMemoryIsMappedIsGoneAndBreaksNoProtocol) {
  OtherService service({.version = 1}, MissAll, {}, /*lends=*/true);
  const auto store = service.Connect([](std::unique_ptr<transport::Fabric> fabric) {
    return std::make_unique<FabricToTheDying>(std::move(fabric));
  });
  ASSERT_EQ(store.status(), absl::OkStatus());
  const absl::Status leased = (*store)->Lease(1, 64, Soon()).status();
  EXPECT_TRUE(absl::IsUnavailable(leased)) << leased;
  EXPECT_THAT(std::string(leased.message()), HasSubstr("is gone: it has died or freed it"));
  EXPECT_EQ((*store)->stats().protocol_errors, 0U);
}

// It was taken for the end of a greeting that went well.
// Each was logged, for as long as the service did not close the connection.
TEST(NegotiationTest, AServiceThatSaysAnErrorIsLeftAtTheFirst) {
  OtherService service({.version = 1}, [](transport::Fabric& fabric, transport::PeerId peer,
                                          const Envelope<Fetch>&) {
    for (const char* text : {"first", "second"}) SendMessage(fabric, peer, 0, Error{13, text});
  });
  const auto store = service.Connect();
  ASSERT_EQ(store.status(), absl::OkStatus());
  const absl::Status status = FetchTestPage(**store, TestPage(1)).pin.status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is gone: first"));
  EXPECT_EQ((*store)->stats().protocol_errors, 0U);
}

TEST(NegotiationTest, AnErrorWithoutACodeBreaksTheProtocol) {
  OtherService service({}, MissAll, {}, /*lends=*/false, Error{0, "fine"});
  for (const absl::Status& status :
       {service.Connect().status(), service.ConnectForStats().status()}) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("an Error without a code"));
  }
}

TEST(NegotiationTest, AServiceThatAnswersOutsideTheOfferIsOneLine) {
  for (const Welcome& welcome :
       {Welcome{.version = 2}, Welcome{.version = 1, .features = 1ULL << 63}}) {
    OtherService service(welcome, MissAll);
    const absl::Status status = service.Connect().status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("this client"));
    EXPECT_TRUE(absl::IsFailedPrecondition(service.ConnectForStats().status()));
  }
}

}  // namespace
}  // namespace pinboard::cache_service
