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
  absl::Span<const std::int32_t> source_rows;  // distinct physical rows
  int first_row = 0;                           // source_rows[i] moves to first_row + i
  /// Rows at the head (the ring's) that may be sources in any order and are copied, not moved; the
  /// sources behind them ascend. At most first_row.
  int head_rows = 0;
};

/// In place: no copy of the cache beside it. First the ascending sources that move right, last
/// first; then those that move left, first first; then the head's. Targets ascend as sources do, so
/// the target of a row that moves right can only be the source of a later one that moves right and
/// has gone already, and likewise to the left. Rows outside the targets keep their bytes or, behind
/// the head, become garbage. InvalidArgument: rows outside the block table, or out of order.
absl::Status Compact(const CompactArgs& args);

/// What Compact would refuse, without moving anything.
absl::Status CheckCompact(const CompactArgs& args);

}  // namespace pinboard::kernels
