// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/taken_signals.h"

#include <pthread.h>

#include <atomic>

namespace pinboard {
namespace {

std::atomic<pthread_t> taker;  // read by handlers, on threads older than what is written here

void HandOn(int signal) {
  if (pthread_equal(pthread_self(), taker) == 0) pthread_kill(taker, signal);
}

}  // namespace

void TakeSignals(const sigset_t& signals) {
  taker = pthread_self();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  struct sigaction action {};
  action.sa_handler = HandOn;
  action.sa_flags = SA_RESTART;
  for (int signal = 1; signal < NSIG; ++signal) {
    if (sigismember(&signals, signal) == 1) sigaction(signal, &action, nullptr);
  }
}

}  // namespace pinboard
