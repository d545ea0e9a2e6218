// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Tenants that share a service: what each has, and what none learns of another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cache_service/inventory/tenant_limits.h"
#include "cache_service/remote_page_store.h"
#include "cache_service/server/tenants.h"
#include "tests/cache_service/keyed_service.h"
#include "tests/cache_service/raw_client.h"
#include "tests/support/fake_clock.h"
#include "transport/fabric/loopback/loopback.h"

namespace pinboard::cache_service {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kPages = KeyedService::kSegmentBytes / kTestPageBytes;  // in a segment

std::vector<SlabLocation> Lease(RawClient& client, std::uint32_t count) {
  return client.Ask<LeaseReply>(LeaseRequest{count, kTestPageBytes}).slabs;
}

/// Leases and publishes pages [first, first + count), and waits until they are there.
void Put(RawClient& client, std::uint32_t first, std::uint32_t count) {
  Publish publish;
  Fetch fetch;
  for (const SlabLocation& slab : Lease(client, count)) {
    EXPECT_TRUE(client.segments().contains(slab.segment)) << "it was not announced before";
    publish.pages.push_back({slab.slab, TestHeader(TestPage(first))});
    fetch.pages.push_back(TestPage(first++));
  }
  ASSERT_EQ(publish.pages.size(), count);
  client.Send(publish);
  Unpin unpin;
  for (const FoundPage& page : client.Ask<FetchHits>(fetch).pages) {
    EXPECT_TRUE(client.segments().contains(page.location.segment));
    unpin.slabs.push_back(page.location.slab);
  }
  EXPECT_EQ(unpin.slabs.size(), count);
  client.Send(unpin);
}

std::set<std::string> KeysOf(const RawClient& client) {
  std::set<std::string> keys;
  for (const auto& [segment, entry] : client.segments()) {
    const std::vector<std::byte>& key = entry.remote_key;
    keys.emplace(reinterpret_cast<const char*>(key.data()), key.size());
  }
  return keys;
}

TEST(TenantsTest, SegmentsAreAnnouncedToTheirTenantAlone) {
  KeyedService service(4, kTwoTenants, "");
  RawClient alpha(service.address());
  RawClient beta(service.address());
  RawClient alpha_too(service.address());
  alpha.GreetAs(Alpha());
  beta.GreetAs(Beta());
  alpha_too.GreetAs(Alpha(), 2);
  EXPECT_TRUE(alpha.segments().empty()) << "memory comes as it is needed";
  Put(alpha, 0, 2 * kPages);
  Put(beta, 0, 1);
  Put(alpha_too, 100, 1);  // of what alpha has: a page of alpha leaves
  EXPECT_EQ(alpha.segments().size(), 2);
  EXPECT_EQ(beta.segments().size(), 1);
  EXPECT_EQ(KeysOf(alpha), KeysOf(alpha_too));
  for (const std::string& key : KeysOf(beta)) EXPECT_FALSE(KeysOf(alpha).contains(key));
  RawClient late(service.address());
  late.GreetAs(Beta());
  Lease(late, 1);
  EXPECT_EQ(KeysOf(late), KeysOf(beta));
}

// It got less than it was promised, and nobody was told.
TEST(TenantsTest, ThatThereIsNoMemoryForATenantIsLoggedAndThatAllIsInUseIsNot) {
  constexpr std::uint64_t kBytes = 64 * kTestPageBytes;
  constexpr ClientId kClient(1);
  transport::LoopbackHub hub;
  const auto fabric = hub.MakeFabric();
  FakeClock clock;
  const TenantMemory memory{.arena_bytes = 2 * kBytes,
                            .segment_bytes = kBytes,
                            .chunk_bytes = kTestPageBytes,
                            .eviction = LowestInformation(),
                            .watermarks = {1, 1}};
  const auto nobody = [](const Tenant&, std::uint32_t) {};
  Tenants tenants(*fabric, memory, clock, {nobody, nobody});
  const std::string all = absl::StrCat(" bytes=", 2 * kBytes, "\n");
  const ScratchFile keys(kTwoTenants);
  const ScratchFile limits("alpha" + all + "beta" + all);
  tenants.Apply(*AccessControl::Load(keys.path(), limits.path()));
  for (const char* name : {"alpha", "beta"}) {
    tenants.Find(name).inventory.AddClient(kClient, GroupId(1));
  }
  const auto lease = [&](const char* name = "alpha") {
    return tenants.Lease(tenants.Find(name), kClient, 1, kTestPageBytes).ok();
  };
  hub.SetMemoryLimit(kBytes);
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 64; ++i) EXPECT_TRUE(lease());
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(lease());
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 4);
  EXPECT_THAT(log, HasSubstr("tenant alpha gets less memory than its quota: "));
  EXPECT_THAT(log, HasSubstr("smaller --arena"));
  hub.SetMemoryLimit(2 * kBytes);
  clock.Advance(absl::Minutes(1));
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 64; ++i) EXPECT_TRUE(lease());
  EXPECT_FALSE(lease("beta"));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

/// That another tenant has a page shows in no byte: nothing of it is looked at.
TEST(TenantsTest, NobodyLearnsWhetherAnotherTenantHasAPage) {
  KeyedService service(4, kTwoTenants, "");
  RawClient alpha(service.address());
  RawClient beta(service.address());
  const Welcome owner = alpha.GreetAs(Alpha(), 1);
  beta.GreetAs(Beta(), 1);  // the same group, by chance or by guess
  Put(alpha, 0, 2);
  alpha.Send(Drop{{TestPage(1)}});
  alpha.Send(Fetch{{TestPage(1)}});
  EXPECT_EQ(alpha.Receive<FetchMisses>().message.pages.at(0).miss, MissCause::kDropped);
  ASSERT_TRUE(service.Eventually([&] { return service.OfTenant("alpha", "misses_total") == 1; }));
  const double lookups = service.OfTenant("alpha", "lookups_total");

  std::vector<std::vector<std::byte>> answers;
  for (const std::uint32_t page : {0, 1, 77}) {  // there, dropped, never there
    beta.Send(Fetch{{TestPage(page)}});
    answers.push_back(beta.ReceiveBytes<FetchMisses>());
    EXPECT_EQ(answers.back(), answers.front());
  }
  EXPECT_EQ(DecodeMessage<FetchMisses>(answers.front())->message.pages.at(0).miss,
            MissCause::kUnknown);
  beta.Send(Drop{{TestPage(0)}});
  beta.Send(DropSequence{TestPage(0).key.sequence});
  beta.Send(Goodbye{owner.client});         // as if there were no such client
  beta.Send(Goodbye{owner.client + 1000});  // there is none
  Put(beta, 0, 1);                          // the same name, another page

  ASSERT_TRUE(service.Eventually([&] { return service.OfTenant("beta", "lookups_total") >= 4; }));
  EXPECT_EQ(service.OfTenant("alpha", "lookups_total"), lookups) << "alpha's catalog was searched";
  EXPECT_EQ(alpha.Ask<FetchHits>(Fetch{{TestPage(0)}}).pages.size(), 1);
}

/// Of the pages that another tenant has, or had, neither extents nor the cursor tell.
TEST(TenantsTest, AnInspectionTellsATenantOfItselfAlone) {
  KeyedService service(4, kTwoTenants, "");
  RawClient alpha(service.address());
  RawClient beta(service.address());
  alpha.GreetAs(Alpha(), 1);
  beta.GreetAs(Beta(), 1);  // the same group
  beta.Send(Inspect{});
  const std::vector<std::byte> nothing = beta.ReceiveBytes<InspectReply>();
  EXPECT_TRUE(DecodeMessage<InspectReply>(nothing)->message.extents.empty());
  for (const std::uint32_t page : {0, 100, 200}) Put(alpha, page, 1);  // three extents
  alpha.Send(Drop{{TestPage(100)}});
  for (std::uint64_t cursor = 0; cursor < 4; ++cursor) {
    beta.Send(Inspect{cursor});
    EXPECT_EQ(beta.ReceiveBytes<InspectReply>(), nothing) << "from " << cursor;
  }
  Put(beta, 300, 2);
  const InspectReply told = beta.Ask<InspectReply>(Inspect{});
  ASSERT_EQ(told.extents.size(), 1);
  EXPECT_EQ(told.extents[0].pages, 2);
  EXPECT_EQ(told.extents[0].bytes, 2 * kTestPageBytes);
  EXPECT_EQ(told.next, 0);
  const InspectReply own = alpha.Ask<InspectReply>(Inspect{});
  ASSERT_EQ(own.extents.size(), 3);
  EXPECT_EQ(own.extents[0].pages, 1);
  EXPECT_EQ(own.extents[1].dropped, 1);
  EXPECT_EQ(own.extents[2].first_page, 200);
}

// Each new sequence takes 3 KB of the service for good, evicted or not: one tenant could end it.
TEST(TenantsTest, ATenantHasALimitOfExtentsUnlessToldOtherwise) {
  KeyedService service(4, kTwoTenants, "");
  RawClient alpha(service.address());
  alpha.GreetAs(Alpha());
  constexpr std::uint64_t kSequences = 66'000;
  for (std::uint64_t sequence = 0; sequence < kSequences;) {
    Publish publish;
    for (const SlabLocation& slab : Lease(alpha, kPages)) {
      PageHeader header = TestHeader(TestPage(0));
      header.key.sequence = sequence++;
      publish.pages.push_back({slab.slab, header});
    }
    ASSERT_FALSE(publish.pages.empty());
    alpha.Send(publish);
  }
  EXPECT_TRUE(service.Eventually([&] {
    return service.OfTenant("alpha", "extents") == static_cast<double>(DefaultExtents(0)) &&
           service.OfTenant("alpha", "refused_publishes_total") > 0;
  })) << service.OfTenant("alpha", "extents");
}

TEST(TenantsTest, APublicationWakesNoFetchOfAnotherTenant) {
  KeyedService service(4, kTwoTenants, "");
  RawClient alpha(service.address());
  RawClient beta(service.address());
  alpha.GreetAs(Alpha(), 1);
  beta.GreetAs(Beta(), 1);
  const std::vector<SlabLocation> slabs = Lease(alpha, 1);
  beta.Send(Fetch{{TestPage(0)}});  // waits for its publication
  ASSERT_TRUE(service.Eventually([&] { return service.OfTenant("beta", "lookups_total") >= 1; }));
  alpha.Send(Publish{{{slabs.at(0).slab, TestHeader(TestPage(0))}}});
  EXPECT_EQ(beta.Receive<FetchMisses>().message.pages.at(0).miss, MissCause::kUnknown);
  ASSERT_TRUE(service.Eventually([&] { return service.OfTenant("beta", "misses_total") == 1; }));
  EXPECT_EQ(service.OfTenant("beta", "lookups_total"), 2) << "as it came, and as it expired";
}

TEST(TenantsTest, ASlabOfAnotherTenantIsOneThatThereIsNot) {
  KeyedService service(4, kTwoTenants, "");
  RawClient alpha(service.address());
  alpha.GreetAs(Alpha());
  const SlabLocation slab = Lease(alpha, 1).at(0);
  std::vector<std::vector<std::byte>> answers;
  for (const bool held : {true, false}) {
    RawClient beta(service.address());
    beta.GreetAs(Beta());
    if (!held) alpha.Send(ReturnSlabs{{slab.slab}});
    if (!held) Lease(alpha, 0);  // it has been returned by now
    beta.Send(Publish{{{slab.slab, TestHeader(TestPage(0))}}});
    answers.push_back(beta.ReceiveBytes<Error>());
  }
  EXPECT_EQ(answers[0], answers[1]);
}

TEST(TenantsTest, MemoryThatChangesItsTenantHoldsNothingOfBefore) {
  KeyedService service(1, kTwoTenants,
                       absl::StrCat("alpha bytes=", KeyedService::kSegmentBytes,
                                    "\nbeta bytes=", KeyedService::kSegmentBytes));
  const std::vector<std::byte> secret(KeyedService::kSegmentBytes, std::byte{0x5a});
  {
    RawClient alpha(service.address());
    const Welcome welcome = alpha.GreetAs(Alpha());
    Put(alpha, 0, kPages);
    alpha.Put(*alpha.Map(alpha.segments().begin()->first), 0, secret);
    alpha.Send(Goodbye{welcome.client});  // with the last of the group its pages go
  }
  RawClient beta(service.address());
  beta.GreetAs(Beta());
  ASSERT_EQ(Lease(beta, kPages).size(), kPages);
  const auto segment = beta.Map(beta.segments().begin()->first);
  std::vector<std::byte> found(segment->size_bytes(), std::byte{1});
  beta.Get(*segment, 0, absl::MakeSpan(found));
  EXPECT_EQ(std::count(found.begin(), found.end(), std::byte{0}), found.size());
}

TEST(TenantsTest, AQuotaBindsItsTenantAndNobodyElse) {
  KeyedService service(4, kTwoTenants,
                       absl::StrCat("alpha bytes=", KeyedService::kSegmentBytes, "\nbeta pages=2"));
  RawClient alpha(service.address());
  RawClient beta(service.address());
  alpha.GreetAs(Alpha());
  beta.GreetAs(Beta());
  Put(alpha, 0, kPages);
  EXPECT_EQ(Lease(alpha, kPages).size(), kPages) << "its own pages leave";
  EXPECT_TRUE(Lease(alpha, 1).empty());
  Put(beta, 0, 2);
  Put(beta, 2, 1);
  EXPECT_TRUE(Lease(beta, 3).empty());
  EXPECT_TRUE(service.Eventually([&] { return service.OfTenant("beta", "evictions_total") == 1; }));
  EXPECT_EQ(service.OfTenant("alpha", "evictions_total"), kPages);
  EXPECT_EQ(service.OfTenant("alpha", "refused_leases_total"), 1);
  EXPECT_EQ(service.OfTenant("beta", "refused_leases_total"), 1);
  EXPECT_EQ(service.OfTenant("beta", "pages"), 2);
  EXPECT_EQ(service.OfTenant("alpha", "used_bytes"), KeyedService::kSegmentBytes);
}

TEST(TenantsTest, WhoHasTheHigherPriorityGetsMemoryThatOthersUse) {
  const std::uint64_t arena = 2 * KeyedService::kSegmentBytes;
  KeyedService service(2, kTwoTenants,
                       absl::StrCat("alpha bytes=", arena, "\nbeta bytes=", arena, " priority=1"));
  RawClient alpha(service.address());
  RawClient beta(service.address());
  alpha.GreetAs(Alpha());
  beta.GreetAs(Beta());
  Put(alpha, 0, 2 * kPages);
  const auto gets_one = [&](RawClient& client) { return !Lease(client, 1).empty(); };
  EXPECT_TRUE(service.Eventually([&] { return gets_one(beta); }));
  EXPECT_EQ(Lease(alpha, 0).size(), 0);  // it has been told by now
  EXPECT_EQ(alpha.segments().size(), 1) << "one was withdrawn";
  Put(alpha, 100, kPages);
  EXPECT_EQ(service.Metric("pinboard_service_evictions_total{cause=\"reclaimed\"}"), kPages);
  // The lower takes nothing from the higher, not even what that will need.
  Lease(beta, 2 * kPages);
  EXPECT_TRUE(Lease(alpha, kPages + 1).empty());
}

TEST(TenantsTest, ATenantIsToldItsOwnCounts) {
  KeyedService service(4, kTwoTenants, "");
  RawClient alpha(service.address());
  RawClient beta(service.address());
  alpha.GreetAs(Alpha());
  beta.GreetAs(Beta());
  Put(alpha, 0, 3);
  std::map<std::string, std::uint64_t> counts;
  for (const StatsEntry& entry : beta.Ask<StatsReply>(StatsRequest{}).entries) {
    counts[entry.name] = entry.value;
  }
  EXPECT_EQ(counts.at("pinboard_service_pages"), 0);
  EXPECT_EQ(counts.at("pinboard_service_clients"), 1);
  EXPECT_EQ(counts.at("pinboard_service_arena_bytes"), 2 * KeyedService::kSegmentBytes);
  EXPECT_FALSE(counts.contains("pinboard_service_refused_connections_total"));
  EXPECT_FALSE(counts.contains("pinboard_service_refused_total{reason=\"wrong_key\"}"));
}

TEST(TenantsTest, AStoreFollowsMemoryThatComesAndGoes) {
  const std::uint64_t arena = 2 * KeyedService::kSegmentBytes;
  KeyedService service(2, kTwoTenants,
                       absl::StrCat("alpha bytes=", arena, "\nbeta bytes=", arena, " priority=1"));
  const auto connect = [&service](const Credentials& shown) {
    return *ConnectPageStore([] { return transport::MakeUcxFabric(); }, {service.address()},
                             {.group = 1, .name = shown.tenant, .credentials = shown});
  };
  const auto alpha = connect(Alpha());
  const auto beta = connect(Beta());
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (std::uint32_t page = 0; page < 2 * kPages; ++page) {
      ASSERT_EQ(PublishTestPage(*alpha, TestPage(page, round + 1)), absl::OkStatus());
    }
    ASSERT_TRUE(
        service.Eventually([&] { return PublishTestPage(*beta, TestPage(round, 1, 9)).ok(); }));
    std::uint32_t there = 0;
    for (std::uint32_t page = 0; page < 2 * kPages; ++page) {
      const FetchResult fetched = FetchTestPage(*alpha, TestPage(page, round + 1));
      if (!fetched.pin.ok()) continue;
      ++there;
      EXPECT_TRUE(HasTestBytes(TestPage(page, round + 1), fetched.pin->bytes()));
    }
    EXPECT_EQ(there, kPages);
    const FetchResult own = FetchTestPage(*beta, TestPage(round, 1, 9));
    ASSERT_EQ(own.pin.status(), absl::OkStatus());
    EXPECT_TRUE(HasTestBytes(TestPage(round, 1, 9), own.pin->bytes()));
    beta->DropSequence(9);
  }
}

}  // namespace
}  // namespace pinboard::cache_service
