// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/client/leases_ahead.h"

#include <utility>

namespace pinboard::cache_service {

std::vector<LeasedMemory> LeasesAhead::Take(std::uint32_t count, std::uint64_t bytes,
                                            absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (count == 0 || bytes != bytes_ || leases_.size() < count) return {};
  last_ = now;
  if (leases_.size() == count) return std::exchange(leases_, {});
  const auto first = leases_.end() - count;
  std::vector<LeasedMemory> taken(first, leases_.end());
  leases_.erase(first, leases_.end());
  return taken;
}

bool LeasesAhead::IsComing(std::uint32_t count, std::uint64_t bytes) const {
  absl::MutexLock lock(&mutex_);
  return coming_ > 0 && bytes == bytes_ && count <= leases_.size() + coming_;
}

std::uint32_t LeasesAhead::OnLease(std::uint32_t count, std::uint64_t bytes,
                                   std::uint64_t memory_bytes, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (count == 0 || bytes == 0) return 0;
  const bool same_size = bytes == bytes_;
  if (!same_size && (coming_ > 0 || !leases_.empty()))
    return 0;  // those of the other size go first
  const bool follows = same_size && now < last_ + kIdle;
  bytes_ = bytes;
  last_ = now;
  if (!follows || coming_ > 0 || now < refused_until_ || leases_.size() >= count) return 0;
  if (bytes > memory_bytes / kShare / count) return 0;
  coming_ = count - static_cast<std::uint32_t>(leases_.size());
  return coming_;
}

LeasesAhead::Question LeasesAhead::question() const {
  absl::MutexLock lock(&mutex_);
  return {coming_, bytes_};
}

void LeasesAhead::OnAnswer(const std::vector<LeasedMemory>& leases, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  coming_ = 0;
  if (leases.empty()) refused_until_ = now + kIdle;
  leases_.insert(leases_.end(), leases.begin(), leases.end());
}

std::vector<LeasedMemory> LeasesAhead::TakeIdle(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (now < last_ + kIdle) return {};
  return std::exchange(leases_, {});
}

std::vector<LeasedMemory> LeasesAhead::TakeAll() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(leases_, {});
}

std::vector<LeasedMemory> LeasesAhead::Reset() {
  absl::MutexLock lock(&mutex_);
  coming_ = 0;
  last_ = refused_until_ = absl::InfinitePast();
  return std::exchange(leases_, {});
}

absl::Time LeasesAhead::idle_at() const {
  absl::MutexLock lock(&mutex_);
  return leases_.empty() ? absl::InfiniteFuture() : last_ + kIdle;
}

}  // namespace pinboard::cache_service
