// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whether a process takes work, and lives, for whoever sends it some or starts it again.
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace pinboard {

/// What a process says of itself at /readyz and /healthz (ServeMetrics). Thread-safe.
class Readiness {
 public:
  enum class State : std::uint8_t {
    kStarting,  // does not listen yet
    kReady,
    kDraining,  // takes nothing new, and is about to leave
  };

  void Set(State state) { state_.store(state, std::memory_order_relaxed); }
  State state() const { return state_.load(std::memory_order_relaxed); }

  /// The process's loop has gone round, as it does once a second even where it has nothing to do.
  void Turned(absl::Time now) {
    last_turn_us_.store(absl::ToUnixMicros(now), std::memory_order_relaxed);
  }
  /// Whether it has not for five seconds. Not before its first turn.
  bool is_stuck(absl::Time now) const {
    const std::int64_t last = last_turn_us_.load(std::memory_order_relaxed);
    return last != kNever && now > absl::FromUnixMicros(last) + absl::Seconds(5);
  }

 private:
  static constexpr std::int64_t kNever = -1;

  std::atomic<std::int64_t> last_turn_us_ = kNever;
  std::atomic<State> state_ = State::kStarting;
};

}  // namespace pinboard
