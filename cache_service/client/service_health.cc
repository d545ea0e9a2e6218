// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/service_health.h"

#include <algorithm>
#include <utility>

namespace pinboard::cache_service {

void ServiceHealth::Fail(absl::Time now) {
  const bool forgiven = pause_ == absl::ZeroDuration() || now >= trusted_at_ + kForgivenAfter;
  pause_ = forgiven ? kFirstPause : std::min(2 * pause_, kLongestPause);
}

void ServiceHealth::Connected(absl::Time now) {
  connected_ = true;
  draining_ = silent_ = false;
  trusted_at_ = now + pause_;
}

void ServiceHealth::Lost(absl::Time now) {
  connected_ = false;
  if (!silent_) Fail(now);  // one failure, not two
  state_ = ServiceState::kGone;
}

void ServiceHealth::Observe(absl::Time unanswered_since, absl::Time now) {
  const bool silent = now >= unanswered_since + kPatience;
  const bool was_silent = std::exchange(silent_, silent);
  if (silent && !was_silent) Fail(now);
  if (!silent && was_silent) trusted_at_ = now + pause_;
  if (!connected_) {
    state_ = ServiceState::kGone;
  } else if (silent) {
    state_ = ServiceState::kSilent;
  } else if (draining_) {
    state_ = ServiceState::kDraining;
  } else {
    state_ = now < trusted_at_ ? ServiceState::kDoubtful : ServiceState::kServing;
  }
}

absl::Time ServiceHealth::next_change(absl::Time unanswered_since) const {
  if (!connected_) return absl::InfiniteFuture();
  if (silent_) return unanswered_since + kLongestSilence;
  const absl::Time silent_at = unanswered_since + kPatience;
  return state_ == ServiceState::kDoubtful ? std::min(silent_at, trusted_at_) : silent_at;
}

}  // namespace pinboard::cache_service
