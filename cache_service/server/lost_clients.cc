// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/server/lost_clients.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "cache_service/access/refusal.h"

namespace pinboard::cache_service {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(50);
// Of a tenant: of those that hold nothing. A process may have had one in each of many groups.
constexpr std::ptrdiff_t kMostIdle = 256;
// Of a process and tenant: a client that connects again says goodbye for the earlier ones, so that
// they are few.
constexpr std::ptrdiff_t kMostHolding = 64;

bool HoldsAny(const LostClient& lost) { return lost.tenant->inventory.HoldsAny(lost.client); }

void Forget(const LostClient& lost) { lost.tenant->inventory.RemoveClient(lost.client); }

}  // namespace

void LostClients::Add(const LostClient& lost, bool is_group_kept) {
  if (!HoldsAny(lost)) {
    const bool is_spare =
        is_group_kept || std::any_of(all_.begin(), all_.end(), [&](const LostClient& other) {
          return AreOfOneProcess(other, lost);
        });
    if (is_spare) return Forget(lost);
    MakeRoom(*lost.tenant);
  }
  lost.tenant->inventory.Quarantine(lost.client);
  all_.push_back(lost);
  next_look_ = absl::InfinitePast();
}

void LostClients::MakeRoom(const Tenant& tenant) {
  const auto is_idle = [&tenant](const LostClient& lost) {
    return lost.tenant == &tenant && !HoldsAny(lost);
  };
  if (std::count_if(all_.begin(), all_.end(), is_idle) < kMostIdle) return;
  const auto first = std::find_if(all_.begin(), all_.end(), is_idle);
  Forget(*first);
  all_.erase(first);
}

void LostClients::TakePlaces(const LostClient& there) {
  std::erase_if(all_, [&](const LostClient& lost) {
    if (!AreOfOneProcess(there, lost) || HoldsAny(lost)) return false;
    Forget(lost);
    return true;
  });
}

absl::Status LostClients::CheckMayConnect(const Tenant& tenant,
                                          const ProcessIdentity& process) const {
  const auto holding = std::count_if(all_.begin(), all_.end(), [&](const LostClient& lost) {
    return lost.tenant == &tenant && lost.process == process && HoldsAny(lost);
  });
  if (holding < kMostHolding) return absl::OkStatus();
  return Refusal(RefusalReason::kLostConnections, absl::StatusCode::kResourceExhausted,
                 absl::StrCat(holding,
                              " lost connections of this process hold memory that it may "
                              "still use: end it, and start it again"));
}

bool LostClients::Remove(const LostClient& lost) {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const LostClient& candidate) {
    return candidate.client == lost.client && AreOfOneProcess(candidate, lost);
  });
  if (found == all_.end()) return false;
  Forget(*found);
  all_.erase(found);
  return true;
}

bool LostClients::RemoveDead(absl::Time now) {
  if (now < next_look_) return false;
  next_look_ = now + kLookInterval;
  std::map<ProcessIdentity, bool> running;
  const auto runs = [&](const LostClient& lost) {
    const auto [process, is_new] = running.try_emplace(lost.process);
    if (is_new) process->second = may_run_(lost.process);
    return process->second;
  };
  const auto dead = std::stable_partition(all_.begin(), all_.end(), runs);
  std::for_each(dead, all_.end(), Forget);
  const bool any = dead != all_.end();
  all_.erase(dead, all_.end());
  return any;
}

std::size_t LostClients::CountOf(const Tenant& tenant) const {
  return std::count_if(all_.begin(), all_.end(),
                       [&](const LostClient& lost) { return lost.tenant == &tenant; });
}

}  // namespace pinboard::cache_service
