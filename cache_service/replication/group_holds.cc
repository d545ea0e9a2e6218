// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/group_holds.h"

#include <algorithm>

namespace pinboard::cache_service {

void GroupHolds::ExpireAt(absl::Time& expires, absl::Time at) {
  expires = std::min(expires, at);
  next_expiry_ = std::min(next_expiry_, expires);
}

void GroupHolds::Announce(PeerNumber peer, const std::vector<GroupId>& groups, absl::Time now) {
  for (auto& [hold, expires] : expires_) {
    if (hold.first == peer) ExpireAt(expires, now + grace_);
  }
  for (const GroupId group : groups) {
    const auto [hold, is_new] = expires_.try_emplace({peer, group});
    hold->second = absl::InfiniteFuture();
    if (is_new) inventory_.HoldGroup(group);
  }
}

void GroupHolds::PeerLost(PeerNumber peer, absl::Time now) {
  for (auto& [hold, expires] : expires_) {
    if (hold.first == peer) ExpireAt(expires, now + orphan_timeout_);
  }
}

void GroupHolds::Offered(GroupId group, absl::Time now) {
  if (inventory_.KeepsGroup(group)) return;
  inventory_.HoldGroup(group);
  const auto [hold, is_new] = expires_.try_emplace({PeerNumber{0}, group}, absl::InfiniteFuture());
  ExpireAt(hold->second, now + orphan_timeout_);
}

void GroupHolds::Expire(absl::Time now) {
  if (now < next_expiry_) return;
  next_expiry_ = absl::InfiniteFuture();
  for (auto hold = expires_.begin(); hold != expires_.end();) {
    if (hold->second <= now) {
      inventory_.ReleaseGroup(hold->first.second);
      expires_.erase(hold++);
    } else {
      next_expiry_ = std::min(next_expiry_, hold->second);
      ++hold;
    }
  }
}

}  // namespace pinboard::cache_service
