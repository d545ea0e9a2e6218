// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What happens to three members and their clients in one run, all of it drawn from a seed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/fault/fault_plan.h"

namespace pinboard::testing {

inline constexpr int kFaultMembers = 3;

/// Something done from outside at a time after the start; nothing to a link.
struct MemberFaultEvent {
  absl::Duration at;
  EventKind kind = EventKind::kKillService;  // a member is the service
  int number = 0;                            // the member, or the client
  std::int64_t clock_seconds = 0;            // kSetClock: from then on, beside the machine's
};

struct MemberFaultPlan {
  std::uint32_t seed = 0;
  int clients = 1;
  absl::Duration load;       // how long the clients work before everything is healed
  bool until_fault = false;  // and on, until a process has been killed or stopped
  absl::Duration pause;      // what is stopped goes on after it
  absl::Duration downtime;   // a member that was killed starts again after it
  std::array<std::string, kFaultMembers>
      member_faults;                       // PINBOARD_FAULT of each at its first start
  std::vector<std::string> client_faults;  // of each client
  std::vector<MemberFaultEvent> events;    // in order of time
  int victim = 0;                          // the member that is lost when all copies have been made
  bool mapped = true;                      // else pages travel by Put and Get
  bool is_tight = false;  // members have room for fewer pages than there are: they spill and evict

  bool Has(EventKind kind) const;
  /// One line.
  std::string Describe() const;
};

/// Up to four faults: at fault points, and from outside.
MemberFaultPlan DrawMemberPlan(std::uint32_t seed);

}  // namespace pinboard::testing
