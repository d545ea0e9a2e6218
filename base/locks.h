// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a Mutex does besides locking.
#pragma once

#include "absl/synchronization/mutex.h"

namespace pinboard {

/// For programs: Debian's Abseil, built as for debugging, looks for cycles among the locks that a
/// thread holds at each lock of a Mutex, which takes several times as long as the lock. Builds of
/// ours for debugging keep that. Call it before other threads start.
inline void LockWithoutLookingForCycles() {
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
}

}  // namespace pinboard
