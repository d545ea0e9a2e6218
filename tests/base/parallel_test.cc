// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace pinboard {
namespace {

TEST(ForEachInParallel, CallsEachIndexOnceAndReturnsWhenAllCallsHave) {
  for (const int threads : {-1, 0, 1, 2, 7}) {
    for (const std::size_t count : {0, 1, 2, 1000}) {
      std::vector<int> calls(count, 0);
      ForEachInParallel(count, threads, [&](std::size_t i) { ++calls[i]; });
      EXPECT_EQ(calls, std::vector<int>(count, 1)) << threads << " threads";
    }
  }
}

TEST(ForEachInParallel, WorksOnSeveralThreadsWhereThereAreCores) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one core";
  // Each of two calls waits for the other to begin, but not for ever.
  const auto latest = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::atomic<int> begun = 0;
  std::vector<std::thread::id> threads(2);
  ForEachInParallel(2, 2, [&](std::size_t i) {
    threads[i] = std::this_thread::get_id();
    ++begun;
    while (begun < 2 && std::chrono::steady_clock::now() < latest) std::this_thread::yield();
  });
  EXPECT_NE(threads[0], threads[1]);
}

}  // namespace
}  // namespace pinboard
