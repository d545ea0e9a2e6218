// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How much of the host a round takes (docs/adr/0026).
#pragma once

#include <algorithm>
#include <cstddef>

namespace pinboard {

/// On how many threads a round goes through `rows` rows of all its layers at some nanoseconds each:
/// one more for some 30 us of work, at most four, for the host has others' work.
inline int ThreadsForRows(std::size_t rows) {
  constexpr std::size_t kMost = 4;
  constexpr std::size_t kRowsOfOne = 1024;
  return static_cast<int>(std::min(kMost, 1 + rows / kRowsOfOne));
}

}  // namespace pinboard
