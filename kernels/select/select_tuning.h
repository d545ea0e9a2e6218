// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the device divides a selection.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pinboard::kernels {

inline constexpr int kSelectThreads = 512;
/// Rows whose scores a thread has in flight at once.
inline constexpr int kSelectRowsAtOnce = 4;

/// Rows of one problem that a block scans: four blocks a multiprocessor over the whole batch, but
/// enough rows to outweigh clearing and reading a histogram.
constexpr int SelectRowsPerBlock(std::int64_t total_rows, int multiprocessors) {
  constexpr int kStep = kSelectThreads * kSelectRowsAtOnce;
  const std::int64_t wanted = total_rows / (std::int64_t{4} * multiprocessors);
  const std::int64_t steps = std::clamp<std::int64_t>((wanted + kStep - 1) / kStep, 1, 16);
  return static_cast<int>(steps) * kStep;
}

}  // namespace pinboard::kernels
