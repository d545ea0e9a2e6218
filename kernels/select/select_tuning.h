// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the device divides a selection.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pinboard::kernels {

inline constexpr int kSelectThreads = 512;
/// Rows whose scores a thread has in flight at once.
inline constexpr int kSelectRowsAtOnce = 8;
/// Blocks that a multiprocessor runs at once.
inline constexpr int kSelectBlocks = 3;

/// Rows of one problem that a block scans: as many blocks as run at once over the whole batch, none
/// of them left for a second wave, but enough rows to outweigh clearing and reading a histogram.
constexpr int SelectRowsPerBlock(std::int64_t total_rows, int problems, int multiprocessors) {
  constexpr int kStep = kSelectThreads * kSelectRowsAtOnce;
  const std::int64_t blocks = std::int64_t{kSelectBlocks} * multiprocessors;
  const std::int64_t of_problem = std::max<std::int64_t>(1, blocks / problems);
  const std::int64_t rows = (total_rows + problems - 1) / problems;
  const std::int64_t wanted = (rows + of_problem - 1) / of_problem;
  constexpr std::int64_t kMostSteps = (std::int64_t{1} << 30U) / kStep;
  const std::int64_t steps = std::clamp<std::int64_t>((wanted + kStep - 1) / kStep, 1, kMostSteps);
  return static_cast<int>(steps) * kStep;
}

}  // namespace pinboard::kernels
