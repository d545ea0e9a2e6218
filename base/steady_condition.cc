// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/steady_condition.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"

namespace pinboard {
namespace {

/// absl::Mutex by the names that the standard library calls.
struct Lockable {
  absl::Mutex& mutex;
  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) { mutex.Lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION(mutex) { mutex.Unlock(); }
};

}  // namespace

bool SteadyCondition::WaitUntil(absl::Mutex& mutex, absl::Time deadline) {
  Lockable lockable{mutex};
  // What is added to the monotonic clock must not overflow it.
  const absl::Duration left = std::min(deadline - SteadyNow(), absl::Hours(1));
  if (left > absl::ZeroDuration()) {
    condition_.wait_until(lockable,
                          std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(left));
  }
  return SteadyNow() < deadline;
}

}  // namespace pinboard
