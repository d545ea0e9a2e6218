// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The wall clock of programs that a test starts: clock_preload.cc reads it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pinboard::testing {

/// In a file, which ends with this.
class WallClock {
 public:
  explicit WallClock(std::string path);
  ~WallClock();
  WallClock(const WallClock&) = delete;
  WallClock& operator=(const WallClock&) = delete;

  /// Of programs that go by it.
  std::vector<std::string> Environment() const;
  /// From now on, beside the machine's. Not while one of them starts: UCX measures the processor's
  /// clock by the wall clock then.
  void Set(std::int64_t seconds) const;

 private:
  const std::string path_;
};

}  // namespace pinboard::testing
