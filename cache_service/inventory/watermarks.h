// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// When pages leave before room is asked for.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace pinboard::cache_service {

/// Shares of the arena in use. Once more than `high` is, pages leave in the background until no
/// more than `low` is. 1 and 1: none ever does.
struct Watermarks {
  double high = 0.98;
  double low = 0.95;
};

/// "98:95" in percent, 0 < low <= high <= 100, or "none". InvalidArgument, in one line, for
/// anything else.
absl::StatusOr<Watermarks> ParseWatermarks(const std::string& text);

}  // namespace pinboard::cache_service
