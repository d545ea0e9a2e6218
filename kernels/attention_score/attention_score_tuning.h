// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the device divides the rows of a window attention among blocks.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pinboard::kernels {

/// Rows that one block takes where a multiprocessor holds one: of the multiples of `step` that
/// which ends soonest, counting whole waves of blocks, and for each block what beginning costs
/// besides. `columns`: blocks that go through the same number of rows, of all problems.
constexpr std::int32_t AttentionRowsPerBlock(std::int32_t most_rows, std::int64_t columns, int step,
                                             int multiprocessors) {
  constexpr std::int64_t kBeginningRows = 256;
  const std::int64_t steps = std::max<std::int64_t>(1, (std::int64_t{most_rows} + step - 1) / step);
  std::int64_t best = steps;
  std::int64_t least = -1;
  for (std::int64_t splits = 1; splits <= std::min<std::int64_t>(steps, 4 * multiprocessors);
       ++splits) {
    const std::int64_t steps_each = (steps + splits - 1) / splits;
    const std::int64_t blocks = (steps + steps_each - 1) / steps_each * columns;
    const std::int64_t waves = (blocks + multiprocessors - 1) / multiprocessors;
    const std::int64_t cost = waves * (steps_each * step + kBeginningRows);
    if (least < 0 || cost < least) {
      least = cost;
      best = steps_each;
    }
  }
  return static_cast<std::int32_t>(std::min<std::int64_t>(best * step, 0x7fffffff / 2));
}

}  // namespace pinboard::kernels
