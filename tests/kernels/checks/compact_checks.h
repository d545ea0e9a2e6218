// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of Compact must do. Compact is any callable with its signature.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/compact/compact.h"
#include "tests/kernels/paged_cache.h"

namespace pinboard::kernels::checks {

/// Compacts and compares with a copy of the rows taken before.
template <typename CompactFn>
void ExpectCompacts(CompactFn compact, PagedCache& cache, const std::vector<std::int32_t>& sources,
                    int first_row, int head_rows = 0) {
  std::vector<std::vector<std::byte>> before;
  for (const std::int32_t row : sources) before.push_back(cache.Row(row));
  const absl::Status status = compact({cache.view(), cache.shape(), cache.block_size(),
                                       cache.block_table(), sources, first_row, head_rows});
  ASSERT_TRUE(status.ok()) << status;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    ASSERT_EQ(cache.Row(first_row + static_cast<int>(i)), before[i])
        << "source row " << sources[i] << " to " << first_row << " + " << i;
  }
}

/// The head's rows `from_head` slipped in among `behind` at random places.
inline std::vector<std::int32_t> Interleaved(SeededRandom& random, std::vector<std::int32_t> behind,
                                             const std::vector<std::int32_t>& from_head) {
  for (const std::int32_t row : from_head) {
    behind.insert(behind.begin() + random.Int(0, static_cast<int>(behind.size())), row);
  }
  return behind;
}

/// Each row of [0, rows) with this probability.
inline std::vector<std::int32_t> RandomRows(SeededRandom& random, int rows, double probability) {
  std::vector<std::int32_t> chosen;
  for (int r = 0; r < rows; ++r) {
    if (random.Uniform(0, 1) < probability) chosen.push_back(r);
  }
  return chosen;
}

}  // namespace pinboard::kernels::checks
