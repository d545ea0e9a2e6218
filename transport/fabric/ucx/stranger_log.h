// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Log lines that whoever reaches the port can provoke.
#pragma once

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rate_limit.h"

namespace pinboard::transport {

/// Lines of one kind: 32 at once, then one a second, which says how many were left out before it.
/// Thread-compatible.
class StrangerLog {
 public:
  /// The arguments are joined as by absl::StrCat.
  template <typename... Args>
  void Write(LogLevel level, const Args&... args) {
    if (!LogEnabled(level)) return;
    const auto unlogged = limit_.Take(SteadyNow());
    if (!unlogged.has_value()) return;
    LogLine(level, absl::StrCat(args..., NotLogged(*unlogged)));
  }

 private:
  RateLimit limit_{32, absl::Seconds(1)};
};

}  // namespace pinboard::transport
