// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Named places in the code at which a test may kill, stop or delay the process.
#pragma once

#include <atomic>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard {

namespace internal {
extern std::atomic<bool> fault_points_armed;
void PassFaultPoint(const char* name);
}  // namespace internal

/// Does nothing unless armed: one relaxed load. Thread-safe.
inline void FaultPoint(const char* name) {
  if (internal::fault_points_armed.load(std::memory_order_relaxed)) [[unlikely]] {
    internal::PassFaultPoint(name);
  }
}

/// Arms what the environment variable PINBOARD_FAULT says, for tests: "POINT=ACTION", several with
/// commas between them. ACTION is `kill` (SIGKILL of this process), `stop` (SIGSTOP; who sent it
/// there continues it) or a delay in milliseconds, `delay:20`; a number before it, `3:kill`, means
/// that passage of the point alone, counted from 1, and no number means the first.
///
/// Call it once, before other threads start. InvalidArgument, one line: a point that is not among
/// `known`, or an action that cannot be read. Unset: Ok, and nothing is armed.
absl::Status ArmFaultPoints(absl::Span<const char* const> known);

}  // namespace pinboard
