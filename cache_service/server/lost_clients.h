// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Clients whose connection is lost and whose process may still use what they hold.
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/protocol/process_identity.h"
#include "cache_service/server/tenants.h"

namespace pinboard::cache_service {

struct LostClient {
  Tenant* tenant = nullptr;
  ClientId client;
  GroupId group;
  ProcessIdentity process;
  bool is_member = false;
};

/// Whether two clients, there or lost, keep one group for one process.
template <typename Client, typename OtherClient>
bool AreOfOneProcess(const Client& one, const OtherClient& other) {
  return one.tenant == other.tenant && one.group == other.group && one.process == other.process;
}

/// Each is in its tenant's inventory until its process is found dead, or says goodbye for it, or
/// nothing would be missed without it: it holds nothing, and others of its process keep its group,
/// or many of its tenant that hold nothing were lost since. Thread-compatible.
class LostClients {
 public:
  /// Whether a process may be running.
  using Look = std::function<bool(const ProcessIdentity&)>;
  explicit LostClients(Look may_run = IsRunningHere) : may_run_(std::move(may_run)) {}

  /// One that the inventory has. `is_group_kept`: its process has a connection in its group.
  void Add(const LostClient& lost, bool is_group_kept);
  /// The client is there: those of its process and group that hold nothing go. One that gave up
  /// before its Welcome came cannot say goodbye for it.
  void TakePlaces(const LostClient& there);
  /// Refused: many connections that the process has lost hold leases or pins of the tenant's, which
  /// nobody but the process may end.
  absl::Status CheckMayConnect(const Tenant& tenant, const ProcessIdentity& process) const;
  /// For a goodbye. False where there is no such client of this process, tenant and group.
  bool Remove(const LostClient& lost);
  /// Looks for each process once. Whether any client is removed.
  bool RemoveDead(absl::Time now);
  /// When RemoveDead looks again; InfiniteFuture where nobody is lost.
  absl::Time next_look() const { return all_.empty() ? absl::InfiniteFuture() : next_look_; }

  const std::vector<LostClient>& all() const { return all_; }
  std::size_t CountOf(const Tenant& tenant) const;

 private:
  void MakeRoom(const Tenant& tenant);

  const Look may_run_;
  std::vector<LostClient> all_;  // the one that was lost first comes first
  absl::Time next_look_ = absl::InfinitePast();
};

}  // namespace pinboard::cache_service
