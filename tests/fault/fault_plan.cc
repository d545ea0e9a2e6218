// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/fault_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cache_service/fault_points.h"
#include "tests/fault/scripted_client.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {
namespace fault = cache_service::fault;

const char* NameOf(EventKind kind) {
  switch (kind) {
    case EventKind::kKillService:
      return "kill service";
    case EventKind::kStopService:
      return "stop service";
    case EventKind::kKillClient:
      return "kill client";
    case EventKind::kStopClient:
      return "stop client";
    case EventKind::kSetClock:
      return "set clock";
    case EventKind::kCorrupt:
      return "corrupt a page";
    case EventKind::kChangeLink:
      return "change the link";
    case EventKind::kWithdrawKeys:
      return "withdraw the keys of tenant";
    case EventKind::kGiveKey:
      return "give another key to tenant";
    case EventKind::kSetLimits:
      return "set limits";
    case EventKind::kDamageKeys:
      return "damage the file of keys";
    case EventKind::kDamageLimits:
      return "damage the file of tenants";
  }
  return "";
}

namespace {

// The least that pinboardd gives a tenant at once.
constexpr std::uint64_t kSegmentBytes = std::uint64_t{2} << 20;
// Of a tenant: all that its memory holds, and fewer than one client publishes.
constexpr std::uint64_t kAllPages = 2 * kSegmentBytes / kTenantPageBytes;
constexpr std::uint64_t kFewPages = 12;

std::string DescribeLimits(const std::vector<cache_service::TenantLimits>& tenants) {
  return absl::StrJoin(tenants, ", ", [](std::string* out, const auto& limits) {
    absl::StrAppend(out, limits.pages, " pages priority ", limits.priority);
  });
}

std::string DescribeLink(const Link& link) {
  if (link.cut) return "cut";
  return absl::StrCat("delay ", absl::FormatDuration(link.delay), " loss ", link.loss);
}

/// Cut, late, or thinned out.
Link DrawLink(SeededRandom& random) {
  switch (random.Int(1, 3)) {
    case 1:
      return {.cut = true};
    case 2:
      return {.delay = absl::Milliseconds(random.Int(1, 200))};
    default:
      return {.loss = random.Uniform(0.01, 0.1)};
  }
}

absl::Duration DrawTime(SeededRandom& random, absl::Duration load) {
  return absl::Milliseconds(random.Int(20, static_cast<int>(load / absl::Milliseconds(1))));
}

FaultEvent DrawLinkEvent(SeededRandom& random, absl::Duration load) {
  FaultEvent event{.at = DrawTime(random, load),
                   .kind = EventKind::kChangeLink,
                   .lasts = absl::Milliseconds(random.Int(10, random.OneIn(4) ? 4000 : 600))};
  const Link link = DrawLink(random);
  const int ways = random.Int(1, 4);  // both in half of them
  if (ways != 1) event.to_service = link;
  if (ways != 2) event.from_service = link;
  return event;
}

std::string DrawAction(SeededRandom& random, int first, int last) {
  const std::vector<std::string> actions = {"kill", "kill", "stop",
                                            absl::StrCat("delay:", random.Int(1, 20))};
  return absl::StrCat("=", random.Int(first, last), ":", random.Pick(actions));
}

void SortByTime(std::vector<FaultEvent>& events) {
  std::stable_sort(events.begin(), events.end(),
                   [](const FaultEvent& a, const FaultEvent& b) { return a.at < b.at; });
}

}  // namespace

std::string DrawServiceFault(SeededRandom& random, const std::vector<const char*>& points) {
  const std::string point = random.Pick(points);
  if (point == fault::kTick) return point + DrawAction(random, 100, 400);
  // The first to connect is the run itself, before there is anyone to continue a service.
  const bool greeting = point == fault::kWelcomed || point == fault::kAnnounced;
  return point + (greeting ? DrawAction(random, 2, 3) : DrawAction(random, 2, 60));
}

std::string DrawClientFault(SeededRandom& random) {
  std::vector<std::string> points(std::begin(fault::kClientPoints), std::end(fault::kClientPoints));
  points.push_back(kPageHalfWritten);
  return random.Pick(points) + DrawAction(random, 1, 60);
}

bool FaultPlan::Has(EventKind kind) const {
  return std::any_of(events.begin(), events.end(),
                     [kind](const FaultEvent& event) { return event.kind == kind; });
}

std::string FaultPlan::Describe() const {
  std::string text =
      absl::StrCat(clients, " clients, ",
                   networked ? "on another host"
                   : mapped  ? "mapped"
                             : "copied",
                   ", arena ", arena_bytes >> 10, " KiB, pause ", absl::FormatDuration(pause),
                   ", downtime ", absl::FormatDuration(downtime));
  if (!tenants.empty()) absl::StrAppend(&text, "; tenants: ", DescribeLimits(tenants));
  if (!service_fault.empty()) absl::StrAppend(&text, "; service: ", service_fault);
  for (int i = 0; i < clients; ++i) {
    if (!client_faults[i].empty()) absl::StrAppend(&text, "; client ", i, ": ", client_faults[i]);
  }
  for (const FaultEvent& event : events) {
    absl::StrAppend(&text, "; ", absl::FormatDuration(event.at), ": ", NameOf(event.kind));
    if (event.kind == EventKind::kKillClient || event.kind == EventKind::kStopClient) {
      absl::StrAppend(&text, " ", event.client);
    }
    if (event.kind == EventKind::kSetClock)
      absl::StrAppend(&text, " by ", event.clock_seconds, " s");
    if (event.kind == EventKind::kWithdrawKeys || event.kind == EventKind::kGiveKey) {
      absl::StrAppend(&text, " ", event.tenant);
    }
    if (event.kind == EventKind::kSetLimits)
      absl::StrAppend(&text, ": ", DescribeLimits(event.limits));
    if (event.kind == EventKind::kChangeLink) {
      absl::StrAppend(&text, " to the service: ", DescribeLink(event.to_service),
                      ", from it: ", DescribeLink(event.from_service), ", for ",
                      absl::FormatDuration(event.lasts));
    }
  }
  return text;
}

void AddTenants(FaultPlan& plan, int tenants) {
  plan.tenants.assign(tenants, {.bytes = 2 * kSegmentBytes, .pages = kAllPages});
  // One less than all may have: the last in the order of priorities is left one at least.
  plan.arena_bytes = (2 * tenants - 1) * kSegmentBytes;
  plan.clients = std::max(plan.clients, tenants);
  plan.client_faults.resize(plan.clients);
}

namespace {

FaultPlan DrawPlanWithoutTenants(std::uint32_t seed) {
  SeededRandom random(seed);
  FaultPlan plan;
  plan.clients = random.Int(1, 4);
  plan.client_seed = seed;
  plan.mapped = !random.OneIn(4);
  // The pages of all fit, or a few of them do.
  plan.arena_bytes = random.OneIn(3) ? 24 * kFaultPageBytes : std::uint64_t{4} << 20;
  plan.load = absl::Milliseconds(random.Int(60, 160));
  plan.pause = absl::Milliseconds(random.Int(1, 150));
  plan.downtime = absl::Milliseconds(random.Int(0, 60));
  plan.client_faults.resize(plan.clients);
  const std::vector<EventKind> kinds = {EventKind::kKillService, EventKind::kStopService,
                                        EventKind::kKillClient,  EventKind::kStopClient,
                                        EventKind::kSetClock,    EventKind::kCorrupt};
  for (int faults = random.Int(1, 3); faults > 0; --faults) {
    const int where = random.Int(1, 3);
    if (where == 1) {
      plan.service_fault = DrawServiceFault(
          random, {std::begin(fault::kServicePoints), std::end(fault::kServicePoints)});
    } else if (where == 2) {
      plan.client_faults[random.Int(0, plan.clients - 1)] = DrawClientFault(random);
    } else {
      plan.events.push_back({.at = DrawTime(random, plan.load),
                             .kind = random.Pick(kinds),
                             .client = random.Int(0, plan.clients - 1),
                             .clock_seconds = random.OneIn(2) ? 3600 : -3600});
    }
  }
  SortByTime(plan.events);
  return plan;
}

void DrawLimits(SeededRandom& random, std::vector<cache_service::TenantLimits>& tenants) {
  for (cache_service::TenantLimits& limits : tenants) {
    limits.pages = random.OneIn(2) ? kFewPages : kAllPages;
    limits.priority = random.Int(0, 2);
  }
}

FaultEvent DrawTenantEvent(SeededRandom& random, const FaultPlan& plan) {
  const std::vector<EventKind> kinds = {EventKind::kWithdrawKeys, EventKind::kGiveKey,
                                        EventKind::kSetLimits, EventKind::kDamageKeys,
                                        EventKind::kDamageLimits};
  FaultEvent event{.at = DrawTime(random, plan.load),
                   .kind = random.Pick(kinds),
                   .tenant = random.Int(1, static_cast<int>(plan.tenants.size())),
                   .limits = plan.tenants};
  DrawLimits(random, event.limits);
  return event;
}

}  // namespace

FaultPlan DrawPlan(std::uint32_t seed) {
  FaultPlan plan = DrawPlanWithoutTenants(seed);
  SeededRandom random(seed ^ 0x74656e61);
  if (!random.OneIn(3)) return plan;
  AddTenants(plan, random.Int(2, kMostTenants));
  DrawLimits(random, plan.tenants);
  plan.load *= 3;  // files are looked at four times a second
  for (int faults = random.Int(1, 2); faults > 0; --faults) {
    plan.events.push_back(DrawTenantEvent(random, plan));
  }
  SortByTime(plan.events);
  return plan;
}

FaultPlan DrawNetworkPlan(std::uint32_t seed) {
  FaultPlan plan = DrawPlanWithoutTenants(seed);
  SeededRandom random(seed ^ 0x6e657477);
  plan.networked = true;
  plan.mapped = false;
  plan.load *= 3;  // a connection takes longer
  for (int faults = random.Int(1, 2); faults > 0; --faults) {
    plan.events.push_back(DrawLinkEvent(random, plan.load));
  }
  SortByTime(plan.events);
  return plan;
}

}  // namespace pinboard::testing
