// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What scripts/test-faults tells the tests, and what a plan tells the processes of its run.
#pragma once

#include <cstdlib>

#include "absl/time/time.h"

namespace pinboard::testing {

/// Random runs to play: PINBOARD_FAULT_RUNS.
inline int FaultRuns(int otherwise) {
  const char* given = std::getenv("PINBOARD_FAULT_RUNS");
  return given != nullptr ? std::atoi(given) : otherwise;
}

/// How soon things must go on after a fault; a machine full of other tests is given more.
inline absl::Duration FaultPatience() {
  const char* given = std::getenv("PINBOARD_FAULT_PATIENCE_MS");
  return given != nullptr ? absl::Milliseconds(std::atoi(given)) : absl::Seconds(10);
}

/// Of what is started from now on. Not mapped: pages travel by Put and Get, over sockets.
inline void MapPages(bool mapped) {
  if (mapped) {
    unsetenv("UCX_TLS");
  } else {
    setenv("UCX_TLS", "tcp,self", /*overwrite=*/1);
  }
}

}  // namespace pinboard::testing
