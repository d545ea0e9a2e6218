// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One reactor of one pinboardd, and all of them as one process believes them to be.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace pinboard::cache_service {

enum class MemberState : std::uint8_t {
  kJoined,
  kDraining,  // nothing new is placed on it; it is still asked for what it has
};

/// Weights are 1 to this. A member of twice the weight is given twice the extents.
inline constexpr std::uint32_t kMaxMemberWeight = 65'535;

struct Member {
  std::string name;     // decides what is placed on it; kept over restarts
  std::string address;  // HOST:PORT, HOST an IP literal
  std::uint32_t weight = 1;
  std::uint64_t incarnation = 0;  // another one after each start; 0: not known
  MemberState state = MemberState::kJoined;

  friend bool operator==(const Member&, const Member&) = default;
};

/// What is believed of the members at one time; never changed once it is seen. Believed only for
/// where to look: what a member has, it alone knows.
struct MembershipView {
  std::uint64_t version = 0;    // counts the changes in this process: no other's versions compare
  std::vector<Member> members;  // ascending by name, each name once

  /// Null where there is none.
  const Member* Find(absl::string_view name) const;
};

/// Shared by all who still look at it while a later one takes its place.
using MembershipViewPtr = std::shared_ptr<const MembershipView>;

}  // namespace pinboard::cache_service
