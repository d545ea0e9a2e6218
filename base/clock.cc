// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace pinboard {

absl::Time SteadyNow() {
  using Monotonic = std::chrono::steady_clock;
  static const absl::Time origin =
      absl::Now() - absl::FromChrono(Monotonic::now().time_since_epoch());
  return origin + absl::FromChrono(Monotonic::now().time_since_epoch());
}

}  // namespace pinboard
