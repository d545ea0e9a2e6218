// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whether a service should be asked, from what has become of it so far.
#pragma once

#include "absl/time/time.h"

namespace pinboard::cache_service {

/// In the order in which services are preferred.
enum class ServiceState {
  kServing,
  kDoubtful,  // back from a failure only lately
  kDraining,  // grants no leases: it is about to end
  kSilent,    // connected, and does not answer
  kGone,      // not connected
};

/// A service that has failed is trusted again once it has been well for a while: none after it was
/// first reached, kFirstPause after the first failure, twice as long after each that follows, at
/// most kLongestPause. One that then serves for kForgivenAfter begins anew. Thread-compatible.
class ServiceHealth {
 public:
  /// A request unanswered for longer, with nothing heard meanwhile, makes a service silent.
  static constexpr absl::Duration kPatience = absl::Milliseconds(250);
  static constexpr absl::Duration kFirstPause = absl::Milliseconds(250);
  static constexpr absl::Duration kLongestPause = absl::Seconds(8);
  /// And for longer than this, worth no more than a new connection: one that was cut may take TCP
  /// as long again to continue.
  static constexpr absl::Duration kLongestSilence = absl::Seconds(2);
  static constexpr absl::Duration kForgivenAfter = absl::Seconds(10);

  void Connected(absl::Time now);
  void Lost(absl::Time now);
  /// It has refused a lease because it is draining: it does so until its end.
  void Draining() { draining_ = true; }
  /// `unanswered_since`: of the earliest request sent since the service was last heard;
  /// InfiniteFuture where there is none.
  void Observe(absl::Time unanswered_since, absl::Time now);

  ServiceState state() const { return state_; }
  static bool IsHopeless(absl::Time unanswered_since, absl::Time now) {
    return now >= unanswered_since + kLongestSilence;
  }
  /// When Observe may change the state, or the service become hopeless, though nothing happens.
  absl::Time next_change(absl::Time unanswered_since) const;

 private:
  void Fail(absl::Time now);

  bool connected_ = false;
  bool draining_ = false;
  bool silent_ = false;
  absl::Duration pause_ = absl::ZeroDuration();
  absl::Time trusted_at_ = absl::InfinitePast();
  ServiceState state_ = ServiceState::kGone;
};

}  // namespace pinboard::cache_service
