// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How often something may be done that strangers can provoke.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace pinboard {

/// `burst` times at once, and once more after each `interval`. Thread-compatible.
class RateLimit {
 public:
  /// Requires burst > 0 and interval > 0.
  RateLimit(std::int64_t burst, absl::Duration interval) : burst_(burst), interval_(interval) {}

  /// Nothing: not now. Else how many were refused since the last one that was not. `now` does not
  /// go back.
  std::optional<std::uint64_t> Take(absl::Time now) {
    if (full_ > now + (burst_ - 1) * interval_) {
      ++refused_;
      return std::nullopt;
    }
    full_ = (full_ > now ? full_ : now) + interval_;
    return std::exchange(refused_, 0);
  }

 private:
  const std::int64_t burst_;
  const absl::Duration interval_;
  absl::Time full_ = absl::InfinitePast();  // when all of the burst will be there again
  std::uint64_t refused_ = 0;
};

/// What a line of a limited log ends with: how many before it were left out, if any were.
inline std::string NotLogged(std::uint64_t lines) {
  return lines > 0 ? absl::StrCat("; ", lines, " before it not logged") : "";
}

}  // namespace pinboard
