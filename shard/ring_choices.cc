// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/ring_choices.h"

#include <system_error>
#include <utility>

#include "base/prefetch.h"

namespace pinboard {

RingChoices::~RingChoices() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void RingChoices::Start(std::vector<Ring>* rings) {
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { Run(); });
    } catch (const std::system_error&) {
    }
  }
  {
    absl::MutexLock lock(&mutex_);
    done_ = 0;
    if (thread_.joinable()) next_.swap(*rings);
  }
  TakeIn(*rings);
  rings->clear();
}

void RingChoices::Await(std::size_t count) {
  const auto reached = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return done_ >= count; };
  absl::MutexLock lock(&mutex_, absl::Condition(&reached));
}

void RingChoices::Run() {
  std::vector<Ring> rings;
  while (true) {
    {
      absl::MutexLock lock(&mutex_, absl::Condition(this, &RingChoices::HasWork));
      if (stop_) return;
      rings.swap(next_);
    }
    TakeIn(rings);
    rings.clear();
  }
}

void RingChoices::TakeIn(const std::vector<Ring>& rings) {
  constexpr std::size_t kTogether = 32;  // are told of
  for (std::size_t i = 0; i < rings.size(); ++i) {
    // The memory of those that come next is on its way meanwhile.
    if (i + 2 < rings.size()) Prefetch(*rings[i + 2].plan);
    if (i + 1 < rings.size()) rings[i + 1].plan->PrefetchScores();
    if (!rings[i].scores.empty()) rings[i].plan->TakeIn(rings[i].scores);
    if ((i + 1) % kTogether != 0 && i + 1 < rings.size()) continue;
    absl::MutexLock lock(&mutex_);
    done_ = i + 1;
  }
}

}  // namespace pinboard
