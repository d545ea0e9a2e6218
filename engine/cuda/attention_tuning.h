// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the rows that queries see are divided among blocks.
#pragma once

#include <algorithm>
#include <bit>

namespace pinboard::engine {

/// Query rows that a block holds: of an entry with few (one token's heads), and of any other.
inline constexpr int kSmallTileRows = 16;
inline constexpr int kLargeTileRows = 64;

/// Of the rows that a tile sees a block reads split_rows, `splits` blocks all of them.
struct AttentionSplit {
  int splits = 1;
  int split_rows = 0;
};

/// To the next multiple of 64, or by at most an eighth: a context that grows by a row at a time is
/// divided alike for a while.
constexpr int RoundUpRows(int rows) {
  const int step = std::max(64, static_cast<int>(std::bit_floor(static_cast<unsigned>(rows)) / 8));
  return (rows + step - 1) / step * step;
}

/// As many splits as keep `multiprocessors` busy with `blocks` blocks each split, but none of fewer
/// rows than are worth a block: the parts have to be written and read again.
constexpr AttentionSplit SplitRows(int blocks, int most_rows, int multiprocessors) {
  constexpr int kBlocksEach = 4;  // wanted on a multiprocessor
  constexpr int kFewestRows = 256;
  constexpr int kMultiple = 64;  // of every tile of keys
  const int wanted = (kBlocksEach * multiprocessors + blocks - 1) / blocks;
  const int splits = std::max(1, std::min(wanted, most_rows / kFewestRows));
  const int rows = (most_rows + splits - 1) / splits;
  const int split_rows = (rows + kMultiple - 1) / kMultiple * kMultiple;
  return {(most_rows + split_rows - 1) / split_rows, split_rows};
}

}  // namespace pinboard::engine
