// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whether a process takes work, for whoever sends it some.
#pragma once

#include <atomic>
#include <cstdint>

namespace pinboard {

/// What a process says of itself at /readyz (ServeMetrics). Thread-safe.
class Readiness {
 public:
  enum class State : std::uint8_t {
    kStarting,  // does not listen yet
    kReady,
    kDraining,  // takes nothing new, and is about to leave
  };

  void Set(State state) { state_.store(state, std::memory_order_relaxed); }
  State state() const { return state_.load(std::memory_order_relaxed); }

 private:
  std::atomic<State> state_ = State::kStarting;
};

}  // namespace pinboard
