// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Time as something that can be replaced: tests and simulations move it by hand.
#pragma once

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace pinboard {

/// Where code that holds deadlines asks for the time. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

/// The machine's clock. tests/support/fake_clock.h has one that moves when told.
class RealClock : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

}  // namespace pinboard
