// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A clean end on SIGINT, SIGTERM, or the death of the process that started this one.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <thread>

namespace pinboard::app {

/// Takes SIGINT and SIGTERM out of the process's hands: call it before other threads start, so that
/// they inherit the mask.
sigset_t BlockShutdownSignals();

/// Calls `stop` once, on a thread of its own, when a blocked signal arrives, or, where `parent` is
/// not 0, when this process has another parent. Destroy it only after stop was called.
class ShutdownWatcher {
 public:
  ShutdownWatcher(const sigset_t& signals, pid_t parent, std::function<void()> stop);
  ~ShutdownWatcher() { thread_.join(); }

 private:
  std::thread thread_;
};

}  // namespace pinboard::app
