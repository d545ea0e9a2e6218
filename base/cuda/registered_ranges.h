// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which memory of the host is registered now, without asking the driver.
#pragma once

#include <cstddef>
#include <iterator>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "absl/types/span.h"

namespace pinboard::cuda {

/// Thread-safe. Ranges do not overlap, as the driver sees to.
class RegisteredRanges {
 public:
  /// Those of the live HostRegistrations.
  static RegisteredRanges& OfProcess() {
    static RegisteredRanges& ranges = *new RegisteredRanges;  // outlives every registration
    return ranges;
  }

  void Add(absl::Span<const std::byte> memory) {
    const std::unique_lock lock(mutex_);
    ends_[memory.data()] = memory.data() + memory.size();
  }
  /// The one that begins there.
  void Remove(const std::byte* begin) {
    const std::unique_lock lock(mutex_);
    ends_.erase(begin);
  }
  bool Contains(const void* address) const {
    const auto* const byte = static_cast<const std::byte*>(address);
    const std::shared_lock lock(mutex_);
    const auto after = ends_.upper_bound(byte);
    return after != ends_.begin() && ends_.key_comp()(byte, std::prev(after)->second);
  }

 private:
  mutable std::shared_mutex mutex_;
  std::map<const std::byte*, const std::byte*> ends_;  // by begin
};

}  // namespace pinboard::cuda
