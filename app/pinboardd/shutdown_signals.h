// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A clean end on SIGINT, SIGTERM, or the death of the process that started this one.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <thread>

namespace pinboard::app {

/// Takes SIGINT and SIGTERM out of the process's hands: call it before other threads start, so that
/// they inherit the mask.
sigset_t BlockShutdownSignals();

/// Calls `stop`, on a thread of its own, whenever a blocked signal arrives, and, where `parent` is
/// not 0, once when this process has another parent.
class ShutdownWatcher {
 public:
  ShutdownWatcher(const sigset_t& signals, pid_t parent, std::function<void()> stop);
  ~ShutdownWatcher();

 private:
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

}  // namespace pinboard::app
