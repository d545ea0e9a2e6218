// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Members that a test makes up.
#pragma once

#include <atomic>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cache_service/membership/current_view.h"
#include "cache_service/membership/membership.h"

namespace pinboard::cache_service {

/// What the test says.
class ToldMembership final : public Membership {
 public:
  explicit ToldMembership(MetricRegistry& metrics) : current_(metrics) {}
  void Tell(std::vector<Member> members) { current_.Replace(std::move(members)); }

  MembershipViewPtr View() const override { return current_.Get(); }
  void OnChange(std::function<void()> changed) override { current_.OnChange(std::move(changed)); }
  absl::Status Join(const Member&) override { return absl::OkStatus(); }
  void Announce(MemberState state) override { announced_ = state; }
  MemberState announced() const { return announced_; }
  absl::Status Leave(absl::Time) override { return absl::OkStatus(); }

 private:
  CurrentView current_;
  std::atomic<MemberState> announced_ = MemberState::kJoined;
};

}  // namespace pinboard::cache_service
