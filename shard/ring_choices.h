// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What many rings want by their merged scores, found out beside the engine's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "scheduler/recall_plan.h"

namespace pinboard {

/// RecallPlan::TakeIn of one ring after another: the largest part of a step's decisions, of which
/// no ring's depends on another's. The thread starts with the first rings and sleeps between steps;
/// where the system gives none, the caller's does the work. For one caller.
class RingChoices {
 public:
  struct Ring {
    scheduler::RecallPlan* plan = nullptr;
    absl::Span<const std::int32_t> scores;  // none: left as it is
  };

  RingChoices() = default;
  RingChoices(const RingChoices&) = delete;
  RingChoices& operator=(const RingChoices&) = delete;
  /// Waits for what it is at.
  ~RingChoices();

  /// Takes `rings`, and leaves there the memory of a list of before. All rings of before have been
  /// waited for. From here until Await has returned for a ring, only ring(), ring_pages() and
  /// in_flight() of its plan may be read, and its scores stay.
  void Start(std::vector<Ring>* rings);
  /// Returns when the first `count` have been taken in.
  void Await(std::size_t count);

 private:
  void Run();
  void TakeIn(const std::vector<Ring>& rings);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stop_ || !next_.empty(); }

  absl::Mutex mutex_;
  std::vector<Ring> next_ ABSL_GUARDED_BY(mutex_);
  std::size_t done_ ABSL_GUARDED_BY(mutex_) = 0;  // of those of the last Start
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace pinboard
