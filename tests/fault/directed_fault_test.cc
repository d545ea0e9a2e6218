// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One fault at a time: at each fault point, and those that need a scene of their own.
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache_service/fault_points.h"
#include "cache_service/page_store.h"
#include "tests/fault/fault_run.h"
#include "tests/fault/fault_service.h"
#include "tests/fault/scripted_client.h"

namespace pinboard::testing {
namespace {

namespace fault = cache_service::fault;
using cache_service::FetchResult;
using cache_service::PageRef;
using cache_service::PageStore;

constexpr absl::Duration kPatience = absl::Seconds(20);

FaultPlan QuietPlan() {
  FaultPlan plan;
  plan.clients = 2;
  plan.client_seed = 7;
  plan.arena_bytes = std::uint64_t{4} << 20;
  plan.load = absl::Milliseconds(100);
  plan.pause = absl::Milliseconds(80);  // longer than a client waits for an answer
  plan.downtime = absl::Milliseconds(5);
  plan.client_faults.resize(2);
  return plan;
}

FaultOutcome Play(const FaultPlan& plan) {
  InitLog("faults", LogLevel::kOff);
  FaultOutcome outcome = FaultRun(plan, ::testing::TempDir(), kPatience).Play();
  for (const std::string& violation : outcome.violations) {
    ADD_FAILURE() << violation << "\n  " << plan.Describe();
  }
  EXPECT_GT(outcome.hits, 0U) << plan.Describe();
  return outcome;
}

/// A plan in which the service passes `point`, and does `action` there.
FaultPlan AtServicePoint(const std::string& point, const std::string& action) {
  FaultPlan plan = QuietPlan();
  const bool greeting = point == fault::kWelcomed || point == fault::kAnnounced;
  plan.until_fault = point != fault::kGoodbye;
  // Not at the greeting of the run itself, nor before the clients are there.
  const int passage = point == fault::kTick ? 100 : greeting ? 2 : 1;
  plan.service_fault = absl::StrCat(point, "=", passage, ":", action);
  if (point == fault::kEvicting) plan.arena_bytes = 24 * kFaultPageBytes;
  return plan;
}

TEST(FaultPointsTest, AServiceKilledAtAnyStepCostsMissesAlone) {
  for (const char* point : fault::kServicePoints) {
    EXPECT_EQ(Play(AtServicePoint(point, "kill")).kills, 1U) << point;
  }
}

TEST(FaultPointsTest, AServiceStoppedAtAnyStepLosesNothing) {
  for (const char* point : fault::kServicePoints) {
    const FaultOutcome outcome = Play(AtServicePoint(point, "stop"));
    EXPECT_EQ(outcome.stops, 1U) << point;
    EXPECT_GT(outcome.pages_checked, 0U) << point;
  }
}

std::vector<const char*> ClientPoints() {
  std::vector<const char*> points(std::begin(fault::kClientPoints), std::end(fault::kClientPoints));
  points.push_back(kPageHalfWritten);
  return points;
}

TEST(FaultPointsTest, AClientKilledAtAnyStepHarmsNobodyElse) {
  for (const bool mapped : {true, false}) {
    for (const char* point : ClientPoints()) {
      FaultPlan plan = QuietPlan();
      if (!mapped && point == fault::kUnpinSent) continue;  // pins are copies
      plan.mapped = mapped;
      plan.until_fault = true;
      plan.client_faults[1] = absl::StrCat(point, "=5:kill");
      EXPECT_EQ(Play(plan).kills, 1U) << point;
    }
  }
}

TEST(FaultPointsTest, AClientStoppedAtAnyStepHarmsNobodyElseAndGoesOn) {
  for (const char* point : ClientPoints()) {
    FaultPlan plan = QuietPlan();
    plan.until_fault = true;
    plan.client_faults[1] = absl::StrCat(point, "=5:stop");
    EXPECT_EQ(Play(plan).stops, 1U) << point;
  }
}

// Calls wait for a service that is stopped while the clock is set: they return by their deadlines,
// long before it goes on.
TEST(FaultTest, AWallClockThatIsSetBackOrForthMovesNoDeadline) {
  for (const std::int64_t seconds : {-3600, 3600}) {
    FaultPlan plan = QuietPlan();
    plan.pause = absl::Seconds(3);
    plan.events = {
        {.at = absl::Milliseconds(60), .kind = EventKind::kSetClock},
        {.at = absl::Milliseconds(70), .kind = EventKind::kStopService},
        {.at = absl::Milliseconds(80), .kind = EventKind::kSetClock, .clock_seconds = seconds}};
    EXPECT_LT(Play(plan).latest, plan.pause / 2) << seconds;
  }
}

TEST(FaultTest, AFullArenaRefusesLeasesAndServesThePagesThatAreThere) {
  FaultPlan plan = QuietPlan();
  plan.clients = 4;
  plan.client_faults.resize(4);
  plan.arena_bytes = 6 * kFaultPageBytes;  // four clients of up to four pages
  EXPECT_GT(Play(plan).unavailable, 0U);
}

FaultPlan QuietPlanWithTenants() {
  FaultPlan plan = QuietPlan();
  AddTenants(plan, 2);
  plan.clients = 4;
  plan.client_faults.resize(4);
  plan.load = absl::Milliseconds(600);  // files are looked at every 250 ms
  return plan;
}

TEST(FaultTest, WhatIsChangedOrDamagedOfOneTenantDisturbsNoOther) {
  std::vector<cache_service::TenantLimits> fewer = QuietPlanWithTenants().tenants;
  fewer[0].pages = 12;
  fewer[1].priority = 1;
  for (const EventKind kind : {EventKind::kWithdrawKeys, EventKind::kGiveKey, EventKind::kSetLimits,
                               EventKind::kDamageKeys, EventKind::kDamageLimits}) {
    FaultPlan plan = QuietPlanWithTenants();
    plan.events = {{.at = absl::Milliseconds(100), .kind = kind, .tenant = 1, .limits = fewer}};
    const bool damages = kind == EventKind::kDamageKeys || kind == EventKind::kDamageLimits;
    plan.until_fault = damages;
    EXPECT_EQ(Play(plan).refused_files > 0, damages) << NameOf(kind);
  }
}

// What it was writing to stays its own, quarantined, as its key is taken out and its process lives.
TEST(FaultTest, AStoppedClientWhoseKeyIsTakenOutKeepsNobodyElseFromTheirMemory) {
  FaultPlan plan = QuietPlanWithTenants();
  plan.pause = absl::Seconds(1);  // longer than until the file is looked at
  plan.client_faults[0] = absl::StrCat(kPageHalfWritten, "=5:stop");
  plan.events = {{.at = absl::Milliseconds(150), .kind = EventKind::kWithdrawKeys, .tenant = 1}};
  EXPECT_GT(Play(plan).quarantined, 0U);
}

/// Publishes a page and waits until it can be read.
FetchResult PutAndGet(PageStore& store, const PageRef& page) {
  EXPECT_EQ(PutPages(store, {page}, SteadyNow() + kPatience), absl::OkStatus());
  store.Fetch({page}, SteadyNow() + kPatience);
  EXPECT_TRUE(store.WaitFetched(SteadyNow() + kPatience));
  std::vector<FetchResult> results = store.TakeFetched();
  EXPECT_EQ(results.size(), 1U);
  return std::move(results.front());
}

TEST(FaultTest, DamagedMemoryIsSeenByTheChecksumAndMendedByTheNextGeneration) {
  const auto service = StartFaultService("127.0.0.1:0", std::uint64_t{1} << 20, "", {});
  auto store = ConnectFaultStore({AddressOf(*service)});
  ASSERT_EQ(store.status(), absl::OkStatus());
  for (std::uint32_t byte = 0; byte < kFaultPageBytes; byte += 511) {
    const PageRef page{{.sequence = 1, .page = 3}, 2 * byte + 1};
    const FetchResult pinned = PutAndGet(**store, page);
    ASSERT_EQ(pinned.pin.status(), absl::OkStatus());
    EXPECT_EQ(Judge(pinned), Verdict::kIntact);
    const_cast<std::byte&>(pinned.pin->bytes()[byte]) ^= std::byte{1};
    EXPECT_EQ(Judge(pinned), Verdict::kCorrupted);
    const FetchResult mended = PutAndGet(**store, {page.key, page.generation + 1});
    ASSERT_EQ(mended.pin.status(), absl::OkStatus());
    EXPECT_EQ(Judge(mended), Verdict::kIntact);
  }
}

// Wake-ups that came while the store connected again were lost, and with them all that was asked
// for afterwards, until something else happened.
TEST(FaultTest, WhatIsSaidWhileAStoreConnectsAgainIsHeard) {
  auto service = StartFaultService("127.0.0.1:0", std::uint64_t{1} << 20, "", {});
  const std::string address = AddressOf(*service);
  auto store = ConnectFaultStore({address});
  ASSERT_EQ(store.status(), absl::OkStatus());
  service.reset();
  const auto gone = [&] {
    return absl::IsUnavailable(
        (*store)->Lease(1, kFaultPageBytes, SteadyNow() + kPatience).status());
  };
  while (!gone()) absl::SleepFor(absl::Milliseconds(1));
  service = StartFaultService(address, std::uint64_t{1} << 20,
                              absl::StrCat(fault::kWelcomed, "=delay:100"), {});
  ASSERT_EQ(AddressOf(*service), address);
  absl::Status leased;
  do {
    (*store)->DropSequence(1);
    leased = (*store)->Lease(1, kFaultPageBytes, SteadyNow() + absl::Seconds(3)).status();
    absl::SleepFor(absl::Milliseconds(1));
  } while (absl::IsUnavailable(leased));
  EXPECT_EQ(leased, absl::OkStatus());
}

}  // namespace
}  // namespace pinboard::testing
