// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/member_fault_plan.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "cache_service/fault_points.h"
#include "tests/fault/fault_plan.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {
namespace {

namespace fault = cache_service::fault;

/// Most are those between members.
std::string DrawMemberFault(SeededRandom& random) {
  if (random.OneIn(3)) {
    return DrawServiceFault(random,
                            {std::begin(fault::kServicePoints), std::end(fault::kServicePoints)});
  }
  return DrawServiceFault(random,
                          {std::begin(fault::kMemberPoints), std::end(fault::kMemberPoints)});
}

bool IsOfClient(EventKind kind) {
  return kind == EventKind::kKillClient || kind == EventKind::kStopClient;
}

MemberFaultEvent DrawEvent(SeededRandom& random, const MemberFaultPlan& plan) {
  const int load_ms = static_cast<int>(plan.load / absl::Milliseconds(1));
  MemberFaultEvent event{.at = absl::Milliseconds(random.Int(20, load_ms))};
  event.kind = random.Pick<EventKind>({EventKind::kKillService, EventKind::kKillService,
                                       EventKind::kStopService, EventKind::kStopService,
                                       EventKind::kKillClient, EventKind::kStopClient,
                                       EventKind::kSetClock, EventKind::kCorrupt});
  event.number = random.Int(0, (IsOfClient(event.kind) ? plan.clients : kFaultMembers) - 1);
  event.clock_seconds = random.OneIn(2) ? 3600 : -3600;
  return event;
}

}  // namespace

std::string MemberFaultPlan::Describe() const {
  std::string text = absl::StrCat(
      clients, " clients, ", mapped ? "mapped" : "copied", ", pause ", absl::FormatDuration(pause),
      ", downtime ", absl::FormatDuration(downtime),
      is_tight ? ", little room" : absl::StrCat(", at last member ", victim, " is lost"));
  for (int i = 0; i < kFaultMembers; ++i) {
    if (!member_faults[i].empty()) absl::StrAppend(&text, "; member ", i, ": ", member_faults[i]);
  }
  for (int i = 0; i < clients; ++i) {
    if (!client_faults[i].empty()) absl::StrAppend(&text, "; client ", i, ": ", client_faults[i]);
  }
  for (const MemberFaultEvent& event : events) {
    absl::StrAppend(&text, "; ", absl::FormatDuration(event.at), ": ", NameOf(event.kind), " ",
                    event.kind == EventKind::kSetClock ? event.clock_seconds : event.number);
  }
  return text;
}

bool MemberFaultPlan::Has(EventKind kind) const {
  return std::any_of(events.begin(), events.end(),
                     [kind](const MemberFaultEvent& event) { return event.kind == kind; });
}

MemberFaultPlan DrawMemberPlan(std::uint32_t seed) {
  SeededRandom random(seed);
  MemberFaultPlan plan;
  plan.seed = seed;
  plan.clients = random.Int(2, 4);
  plan.load = absl::Milliseconds(random.Int(100, 300));
  plan.pause = absl::Milliseconds(random.Int(1, 400));
  plan.downtime = absl::Milliseconds(random.Int(0, 100));
  plan.client_faults.resize(plan.clients);
  plan.victim = random.Int(0, kFaultMembers - 1);
  for (int faults = random.Int(1, 4); faults > 0; --faults) {
    const int where = random.Int(1, 5);
    if (where <= 2) {
      plan.member_faults[random.Int(0, kFaultMembers - 1)] = DrawMemberFault(random);
    } else if (where == 3) {
      plan.client_faults[random.Int(0, plan.clients - 1)] = DrawClientFault(random);
    } else {
      plan.events.push_back(DrawEvent(random, plan));
    }
  }
  std::stable_sort(
      plan.events.begin(), plan.events.end(),
      [](const MemberFaultEvent& a, const MemberFaultEvent& b) { return a.at < b.at; });
  plan.is_tight = random.OneIn(3);
  plan.mapped = !random.OneIn(3);
  return plan;
}

}  // namespace pinboard::testing
