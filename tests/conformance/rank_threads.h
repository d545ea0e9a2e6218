// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The ranks of a group as threads of the test.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace pinboard::transport {

/// What a conformance environment of threads derives from.
class RankThreads {
 public:
  /// Runs `body(rank)` for each rank, all at the same time; returns when all have returned.
  static void Run(int size, const std::function<void(int rank)>& body) {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) threads.emplace_back(body, rank);
    for (std::thread& thread : threads) thread.join();
  }

  /// Returns when `parties` ranks are in it.
  void Meet(int parties) {
    absl::MutexLock lock(&mutex_);
    const int mine = meeting_;
    if (++present_ == parties) {
      present_ = 0;
      ++meeting_;
    }
    const auto over = [this, mine] { return meeting_ != mine; };
    mutex_.Await(absl::Condition(&over));
  }

 private:
  absl::Mutex mutex_;
  int present_ = 0;  // in the meeting under way
  int meeting_ = 0;
};

}  // namespace pinboard::transport
