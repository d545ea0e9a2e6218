// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A layer's physical rows in the order of positions, in which a round scores and selects them.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace pinboard {

struct RowOrder {
  std::vector<std::int32_t> rows;         // [rows]: physical, by ascending position
  std::vector<std::int32_t> ring_places;  // [ring rows]: where each of the ring's stands in `rows`
};

/// positions [rows], none negative: those of the first `ring_rows` are distinct and in any order,
/// those behind them ascend. In time linear in the rows.
RowOrder OrderRows(absl::Span<const std::int32_t> positions, int ring_rows);

}  // namespace pinboard
