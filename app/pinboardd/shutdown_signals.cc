// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/pinboardd/shutdown_signals.h"

#include <time.h>
#include <unistd.h>

#include <utility>

namespace pinboard::app {
namespace {

constexpr timespec kParentCheckInterval = {.tv_sec = 0, .tv_nsec = 200'000'000};

void WaitForShutdown(const sigset_t& signals, pid_t parent) {
  const timespec* timeout = parent == 0 ? nullptr : &kParentCheckInterval;
  while (parent == 0 || getppid() == parent) {
    const int received = timeout == nullptr ? sigwaitinfo(&signals, nullptr)
                                            : sigtimedwait(&signals, nullptr, timeout);
    if (received > 0) return;
  }
}

}  // namespace

sigset_t BlockShutdownSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

ShutdownWatcher::ShutdownWatcher(const sigset_t& signals, pid_t parent, std::function<void()> stop)
    : thread_([this, signals, parent, stop = std::move(stop)]() mutable {
        while (true) {
          WaitForShutdown(signals, parent);
          if (ended_.load()) return;
          stop();
          if (parent != 0 && getppid() != parent) parent = 0;
        }
      }) {}

ShutdownWatcher::~ShutdownWatcher() {
  ended_.store(true);
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

}  // namespace pinboard::app
