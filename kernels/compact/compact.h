// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Moves the rows that stay to their new places, inside the cache.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {

struct CompactArgs {
  KvLayerView cache;
  KvShape shape;
  int block_size = 0;
  absl::Span<const std::int32_t> block_table;
  absl::Span<const std::int32_t> source_rows;  // strictly ascending physical rows
  int first_row = 0;                           // source_rows[i] moves to first_row + i
};

/// In place: no copy of the cache beside it. Rows whose target lies behind them move right, last
/// first; then the others move left, first first; as source_rows[i] - i never falls, no move
/// overwrites a row that has still to move. Rows outside the targets keep their bytes or become
/// garbage.
absl::Status Compact(const CompactArgs& args);

}  // namespace pinboard::kernels
