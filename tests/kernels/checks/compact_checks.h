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

/// The same into a table that replaces each block behind the head with probability `replaced`; the
/// rows in replaced blocks must stay as they were.
template <typename CompactFn>
void ExpectCompactsOutOfShared(CompactFn compact, PagedCache& cache, SeededRandom& random,
                               const std::vector<std::int32_t>& sources, int first_row,
                               int head_rows, double replaced) {
  const std::vector<std::int32_t> table = cache.block_table();
  std::vector<std::int32_t> destination = table;
  const int head_blocks = (head_rows + cache.block_size() - 1) / cache.block_size();
  for (std::size_t i = head_blocks; i < table.size(); ++i) {
    if (random.Uniform(0, 1) < replaced) destination[i] = cache.unused_blocks()[i];
  }
  std::vector<std::vector<std::byte>> before;
  for (const std::int32_t row : sources) before.push_back(cache.Row(row));
  const auto whole_rows = static_cast<int>(table.size()) * cache.block_size();
  std::vector<std::vector<std::byte>> shared(whole_rows);
  const auto is_shared = [&](int row) {
    return destination[row / cache.block_size()] != table[row / cache.block_size()];
  };
  for (int row = 0; row < whole_rows; ++row) shared[row] = cache.Row(row);
  const absl::Status status = compact({cache.view(), cache.shape(), cache.block_size(), table,
                                       sources, first_row, head_rows, destination});
  ASSERT_TRUE(status.ok()) << status;
  for (int row = 0; row < whole_rows; ++row) {
    ASSERT_TRUE(!is_shared(row) || cache.Row(row) == shared[row]) << "shared row " << row;
  }
  cache.set_block_table(destination);
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
