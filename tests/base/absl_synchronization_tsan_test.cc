// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Correct code that ThreadSanitizer reports where it does not see Abseil's locks.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace pinboard {
namespace {

constexpr int kRounds = 500;

/// Runs all of them at once.
template <typename... Bodies>
void Together(Bodies... bodies) {
  std::vector<std::thread> threads;
  (threads.emplace_back(bodies), ...);
  for (std::thread& thread : threads) thread.join();
}

struct Counter {
  absl::Mutex mutex;
  absl::CondVar changed;
  int value ABSL_GUARDED_BY(mutex) = 0;
};

TEST(AbslSynchronizationTsanTest, LocksGuardWhatTheyGuard) {
  Counter counter;
  const auto add = [&] {
    for (int i = 0; i < kRounds; ++i) {
      const absl::MutexLock lock(&counter.mutex);
      ++counter.value;
    }
  };
  const auto read = [&] {
    for (int i = 0; i < kRounds; ++i) {
      const absl::ReaderMutexLock lock(&counter.mutex);
      ASSERT_LE(counter.value, 2 * kRounds);
    }
  };
  const auto try_to_add = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (int added = 0; added < kRounds;) {
      if (!counter.mutex.TryLock()) continue;
      ++counter.value;
      ++added;
      counter.mutex.Unlock();
    }
  };
  Together(add, try_to_add, read);
  const absl::MutexLock lock(&counter.mutex);
  EXPECT_EQ(counter.value, 2 * kRounds);
}

TEST(AbslSynchronizationTsanTest, ConditionsOfOtherThreadsMayBeEvaluatedByTheOneThatUnlocks) {
  Counter counter;
  const auto take_turns = [&](int parity) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto is_mine = [&]()
                             ABSL_NO_THREAD_SAFETY_ANALYSIS { return counter.value % 2 == parity; };
    for (int i = 0; i < kRounds; ++i) {
      counter.mutex.LockWhen(absl::Condition(&is_mine));
      ++counter.value;
      counter.mutex.Unlock();
      counter.mutex.Lock();
      if (counter.mutex.AwaitWithTimeout(absl::Condition(&is_mine), absl::Microseconds(10))) {
        counter.value += 2;
      }
      counter.mutex.Unlock();
    }
  };
  Together([&] { take_turns(0); }, [&] { take_turns(1); });
}

TEST(AbslSynchronizationTsanTest, ConditionVariablesHandTheLockBack) {
  Counter counter;
  const auto take_turns = [&](int parity) {
    for (int i = 0; i < kRounds; ++i) {
      const absl::MutexLock lock(&counter.mutex);
      while (counter.value % 2 != parity) counter.changed.Wait(&counter.mutex);
      ++counter.value;
      counter.changed.SignalAll();
    }
  };
  Together([&] { take_turns(0); }, [&] { take_turns(1); });
  const absl::MutexLock lock(&counter.mutex);
  EXPECT_EQ(counter.value, 2 * kRounds);
}

TEST(AbslSynchronizationTsanTest, APolledNotificationCarriesWhatWasWrittenBeforeIt) {
  int value = 0;
  absl::Notification written;
  Together(
      [&] {
        value = 7;
        written.Notify();
      },
      [&] {
        while (!written.HasBeenNotified()) std::this_thread::yield();
        EXPECT_EQ(value, 7);
      });
}

TEST(AbslSynchronizationTsanTest, ABlockingCounterCarriesWhatEachThreadWrote) {
  int values[2] = {};
  absl::BlockingCounter written(2);
  const auto write = [&](int& value) {
    value = 7;
    written.DecrementCount();
  };
  Together([&] { write(values[0]); }, [&] { write(values[1]); },
           [&] {
             written.Wait();
             EXPECT_EQ(values[0] + values[1], 14);
           });
}

TEST(AbslSynchronizationTsanTest, ANotificationCarriesWhatWasWrittenBeforeIt) {
  int value = 0;
  absl::Notification written;
  Together(
      [&] {
        value = 7;
        written.Notify();
      },
      [&] {
        written.WaitForNotification();
        EXPECT_EQ(value, 7);
      });
}

}  // namespace
}  // namespace pinboard
