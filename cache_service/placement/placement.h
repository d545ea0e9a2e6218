// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Where an extent goes: weighted rendezvous hashing.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/page.h"
#include "cache_service/inventory/extent.h"
#include "cache_service/membership/member.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// One extent of all.
struct ExtentId {
  GroupId group;
  std::uint64_t sequence = 0;
  ExtentName name;
  friend bool operator==(const ExtentId&, const ExtentId&) = default;
};
inline ExtentId ExtentIdOf(GroupId group, const PageKey& key) {
  return {.group = group, .sequence = key.sequence, .name = ExtentNameOf(key)};
}

/// Members in the order in which the extent prefers them, those that drain included: ask them in
/// this order; place on the first that are kJoined.
///
/// Each member m draws u(m), uniform in (0, 1], from a hash of the extent and its name, and the
/// members are ordered by -ln(u) / weight, ties by name: m comes first with probability weight(m) /
/// sum of weights, and a member that joins or leaves changes the place of no two others to each
/// other. A pure function of the extent and of the members' names and weights, the same bits on
/// every machine: all arithmetic is on integers (docs/adr/0023).
/// The pointers live as long as `view`. About 0.1 us a member.
std::vector<const Member*> PlacementOrder(const ExtentId& extent, const MembershipView& view);

}  // namespace pinboard::cache_service
