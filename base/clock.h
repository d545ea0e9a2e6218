// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Time that no one sets back, and time as something that can be replaced.
#pragma once

#include "absl/time/time.h"

namespace pinboard {

/// The time by which deadlines are made and kept: the wall clock's as the process first asked, and
/// from then on the monotonic clock's. A wall clock that is set meanwhile changes nothing, so no
/// deadline passes early and none waits for an hour. Compare it with itself alone, within one
/// process. Thread-safe.
absl::Time SteadyNow();

/// Where code that must be tested at chosen times asks for the time. Implementations are
/// thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

/// SteadyNow. tests/support/fake_clock.h has a clock that moves when told.
class RealClock : public Clock {
 public:
  absl::Time Now() const override { return SteadyNow(); }
};

}  // namespace pinboard
