// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/taken_signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace pinboard {
namespace {

TEST(TakenSignals, WhatComesToAThreadThatWasThereBeforeIsTakenToo) {
  std::atomic<bool> ended = false;
  std::thread before([&] {
    while (!ended) usleep(100);  // ThreadSanitizer runs handlers in calls that it knows
  });
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  TakeSignals(signals);
  for (int i = 0; i < 100; ++i) {
    const int sent = i % 2 == 0 ? SIGINT : SIGTERM;
    pthread_kill(before.native_handle(), sent);  // as the kernel may of any that is blocked here
    int taken = 0;
    ASSERT_EQ(sigwait(&signals, &taken), 0);
    EXPECT_EQ(taken, sent);
  }
  ended = true;
  before.join();
}

}  // namespace
}  // namespace pinboard
