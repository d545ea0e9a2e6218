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
  /// Where the targets lie. Entry i is block_table[i], or a block that is in no entry of
  /// block_table; the head's entries are block_table's. Empty: block_table.
  absl::Span<const std::int32_t> destination_table;
};

/// In place, where the destination says nothing else: no copy of the cache beside it. First the
/// ascending sources that move right, last first; then those that move left, first first; then the
/// head's. Targets ascend as sources do, so the target of a row that moves right can only be the
/// source of a later one that moves right and has gone already, and likewise to the left. Rows
/// outside the targets keep their bytes or, behind the head, become garbage. A target in a block of
/// its own overwrites no source, so the order serves any mixture of both; a block that the
/// destination replaces is read and never written. InvalidArgument: rows outside a table or out of
/// order, a head that would move.
absl::Status Compact(const CompactArgs& args);

/// What Compact would refuse, without moving anything.
absl::Status CheckCompact(const CompactArgs& args);

}  // namespace pinboard::kernels
