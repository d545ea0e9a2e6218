// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A condition variable whose deadlines are SteadyNow's: Abseil's sleep by the wall clock, and
// longer where it is set back.
#pragma once

#include <condition_variable>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace pinboard {

/// Thread-safe. Wake-ups without a reason happen: wait in a loop.
class SteadyCondition {
 public:
  /// Gives `mutex` up until a signal, or the deadline: then false.
  bool WaitUntil(absl::Mutex& mutex, absl::Time deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void SignalAll() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace pinboard
