// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What happens to a service and its clients in one run, all of it drawn from a seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cache_service/inventory/tenant_limits.h"
#include "tests/fault/packet_relay.h"
#include "tests/support/seeded_random.h"

namespace pinboard::testing {

enum class EventKind {
  kKillService,
  kStopService,
  kKillClient,
  kStopClient,
  kSetClock,
  kCorrupt,
  kChangeLink,
  // Of a plan with tenants.
  kWithdrawKeys,
  kGiveKey,
  kSetLimits,
  kDamageKeys,
  kDamageLimits,
};

const char* NameOf(EventKind kind);

/// Something done from outside at a time after the start.
struct FaultEvent {
  absl::Duration at;
  EventKind kind = EventKind::kKillService;
  int client = 0;                  // kKillClient, kStopClient
  std::int64_t clock_seconds = 0;  // kSetClock: from then on, beside the machine's
  // kChangeLink: of a plan that is networked.
  Link to_service;
  Link from_service;
  absl::Duration lasts;
  int tenant = 0;                                   // kWithdrawKeys, kGiveKey
  std::vector<cache_service::TenantLimits> limits;  // kSetLimits
};

struct FaultPlan {
  int clients = 1;
  std::uint32_t client_seed = 0;
  bool mapped = true;      // else pages travel by Put and Get
  bool networked = false;  // the service on one host, the clients on another; not mapped then
  std::uint64_t arena_bytes = 0;
  absl::Duration load;        // how long the clients work before everything is healed
  bool until_fault = false;   // and on, until one was killed or stopped, or a file refused
  absl::Duration pause;       // what is stopped goes on after it
  absl::Duration downtime;    // a service that was killed starts again after it
  std::string service_fault;  // PINBOARD_FAULT of the first service; empty: none
  std::vector<std::string> client_faults;  // of each client
  std::vector<FaultEvent> events;          // in order of time
  /// Of tenants 1, 2 and so on, of which the clients are in turn. None: the service has no keys.
  std::vector<cache_service::TenantLimits> tenants;

  bool Has(EventKind kind) const;
  /// One line.
  std::string Describe() const;
};

/// A PINBOARD_FAULT of a service, at one of `points`, and of a client.
std::string DrawServiceFault(SeededRandom& random, const std::vector<const char*>& points);
std::string DrawClientFault(SeededRandom& random);

/// Up to three faults: at fault points, and from outside. In a third of the plans there are two or
/// three tenants, and one or two faults of their keys and limits.
FaultPlan DrawPlan(std::uint32_t seed);

/// Tenants that have room for all, and for more than all of their pages alone.
void AddTenants(FaultPlan& plan, int tenants);

/// The same without tenants on two hosts, and one to two faults of the link between them.
FaultPlan DrawNetworkPlan(std::uint32_t seed);

}  // namespace pinboard::testing
