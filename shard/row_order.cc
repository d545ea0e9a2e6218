// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/row_order.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <numeric>

namespace pinboard {
namespace {

struct PlacedRow {
  std::int32_t position;
  std::int32_t row;
};

/// The ring's rows by ascending position: a radix sort by as many bytes as the largest has.
std::vector<PlacedRow> SortedRing(absl::Span<const std::int32_t> positions) {
  std::vector<PlacedRow> rows(positions.size());
  std::int32_t largest = 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    rows[row] = {positions[row], static_cast<std::int32_t>(row)};
    largest = std::max(largest, positions[row]);
  }
  std::vector<PlacedRow> sorted(rows.size());
  for (int shift = 0; shift < 32 && largest >> shift != 0; shift += 8) {
    std::array<std::int32_t, 257> first{};
    for (const PlacedRow& row : rows) ++first[(row.position >> shift & 255) + 1];
    std::partial_sum(first.begin(), first.end(), first.begin());
    for (const PlacedRow& row : rows) sorted[first[row.position >> shift & 255]++] = row;
    rows.swap(sorted);
  }
  return rows;
}

}  // namespace

RowOrder OrderRows(absl::Span<const std::int32_t> positions, int ring_rows) {
  const auto rows = static_cast<std::int32_t>(positions.size());
  RowOrder order;
  order.rows.resize(rows);
  order.ring_places.resize(ring_rows);
  std::int32_t next = ring_rows;  // of the rows behind the ring
  std::int32_t place = 0;
  for (const PlacedRow& ring : SortedRing(positions.first(ring_rows))) {
    while (next < rows && positions[next] < ring.position) order.rows[place++] = next++;
    order.ring_places[ring.row] = place;
    order.rows[place++] = ring.row;
  }
  std::iota(order.rows.begin() + place, order.rows.end(), next);
  return order;
}

}  // namespace pinboard
