// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which groups other members have clients of: their pages are kept here for them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// A member as this process numbers them, from 1, for life: one that comes back under its name has
/// its number again. 0: this one.
using PeerNumber = std::uint16_t;

/// Each member's word holds a group as a client of the group would. Only clients are told of, never
/// holds: so members do not hold groups for each other for ever. Thread-compatible.
class GroupHolds {
 public:
  /// `inventory` must outlive this.
  GroupHolds(Inventory& inventory, absl::Duration grace, absl::Duration orphan_timeout)
      : inventory_(inventory), grace_(grace), orphan_timeout_(orphan_timeout) {}

  /// The peer has clients of these groups, and of no others: its other holds end after the grace.
  void Announce(PeerNumber peer, const std::vector<GroupId>& groups, absl::Time now);
  /// The peer is gone: its holds end after the orphan's timeout, unless it announces them again.
  void PeerLost(PeerNumber peer, absl::Time now);

  /// A page of the group is offered. Where nobody is known to have clients of it, as after a start,
  /// it is held as for a member that was lost: who has them is heard of later.
  void Offered(GroupId group, absl::Time now);

  void Expire(absl::Time now);
  /// InfiniteFuture where none expires.
  absl::Time next_expiry() const { return next_expiry_; }

 private:
  using Hold = std::pair<PeerNumber, GroupId>;

  void ExpireAt(absl::Time& expires, absl::Time at);

  Inventory& inventory_;
  const absl::Duration grace_;
  const absl::Duration orphan_timeout_;
  absl::flat_hash_map<Hold, absl::Time> expires_;
  absl::Time next_expiry_ = absl::InfiniteFuture();
};

}  // namespace pinboard::cache_service
