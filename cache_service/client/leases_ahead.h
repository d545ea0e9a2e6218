// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Slabs that a client leases before it is asked for them: where one lease follows another.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "cache_service/client/hold_table.h"

namespace pinboard::cache_service {

/// A slab to write to: mapped memory, else a staging buffer.
struct LeasedMemory {
  HoldId hold;
  absl::Span<std::byte> memory;
};

/// Decides; what it decides its owner sends. Of one page size at a time, and as many as were leased
/// last. Thread-safe: a rank takes its leases without waiting for who drives the fabric.
class LeasesAhead {
 public:
  /// Leases follow each other that are less than this apart; after it slabs are given back.
  static constexpr absl::Duration kIdle = absl::Milliseconds(20);
  /// Never more than this part of the service's memory.
  static constexpr std::uint64_t kShare = 256;

  /// `count` leases of `bytes`, or none. OnLease is to follow.
  std::vector<LeasedMemory> Take(std::uint32_t count, std::uint64_t bytes, absl::Time now);
  /// Whether an answer is on its way that may bring as many.
  bool IsComing(std::uint32_t count, std::uint64_t bytes) const;

  /// A lease was asked for, of a service with so much memory. How many to ask for ahead: none, or
  /// some that OnAnswer is then called for.
  std::uint32_t OnLease(std::uint32_t count, std::uint64_t bytes, std::uint64_t memory_bytes,
                        absl::Time now);
  /// How many were asked for, and how large.
  struct Question {
    std::uint32_t count = 0;
    std::uint64_t bytes = 0;
  };
  Question question() const;
  /// As many as were asked for; or none, and the next question waits for kIdle.
  void OnAnswer(const std::vector<LeasedMemory>& leases, absl::Time now);

  /// What to give back by now: everything, or nothing yet.
  std::vector<LeasedMemory> TakeIdle(absl::Time now);
  std::vector<LeasedMemory> TakeAll();
  /// The same, and forgets what was asked for.
  std::vector<LeasedMemory> Reset();
  /// When something is to be given back.
  absl::Time idle_at() const;

 private:
  mutable absl::Mutex mutex_;
  std::uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of a page; the others are about these
  std::vector<LeasedMemory> leases_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t coming_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time last_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time refused_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace pinboard::cache_service
