// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/steady_condition.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"

namespace pinboard {
namespace {

TEST(SteadyConditionTest, ASignalEndsAWaitWithoutADeadline) {
  absl::Mutex mutex;
  SteadyCondition changed;
  bool set = false;
  std::thread other;
  {
    absl::MutexLock lock(&mutex);
    other = std::thread([&] {
      absl::MutexLock others(&mutex);  // is had once the wait has begun
      set = true;
      changed.SignalAll();
    });
    while (!set) EXPECT_TRUE(changed.WaitUntil(mutex, absl::InfiniteFuture()));
  }
  other.join();
}

TEST(SteadyConditionTest, AfterTheDeadlineItSaysSo) {
  absl::Mutex mutex;
  SteadyCondition changed;
  absl::MutexLock lock(&mutex);
  EXPECT_FALSE(changed.WaitUntil(mutex, absl::InfinitePast()));
  const absl::Time deadline = SteadyNow() + absl::Milliseconds(2);
  while (changed.WaitUntil(mutex, deadline)) {
  }
  EXPECT_GE(SteadyNow(), deadline);
}

}  // namespace
}  // namespace pinboard
