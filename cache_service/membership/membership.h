// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Who the members are, and telling them of this one.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cache_service/membership/member.h"

namespace pinboard::cache_service {

/// Thread-safe. No call waits for another process but Leave, until its deadline.
///
///   membership.OnChange([&fabric] { fabric.Wake(); });
///   PB_RETURN_IF_ERROR(membership.Join({.name = ..., .address = ..., .incarnation = ...}));
///   ...
///   const MembershipViewPtr view = membership.View();   // in the reactor: whenever it turns
///   if (view->version != seen) ...
class Membership {
 public:
  virtual ~Membership() = default;

  /// What is believed now; after Join this member is in it. Never null; version 0 and empty at
  /// first. Takes a short lock.
  virtual MembershipViewPtr View() const = 0;

  /// `changed` runs on some thread after View() has become another; it must not wait, nor call this
  /// object. It replaces an earlier one, which runs no more once this has returned; null: none.
  virtual void OnChange(std::function<void()> changed) = 0;

  /// Tells the others of this member, from now on, however often they forget it. Once.
  /// InvalidArgument: members are listed and this one is not among them.
  virtual absl::Status Join(const Member& self) = 0;

  /// Says this member's state from now on. After Join.
  virtual void Announce(MemberState state) = 0;

  /// Takes this member out of what the others believe. Joined members that end without it are
  /// forgotten by the others in their time. `deadline` is SteadyNow's. DeadlineExceeded: they were
  /// not told.
  virtual absl::Status Leave(absl::Time deadline) = 0;
};

}  // namespace pinboard::cache_service
