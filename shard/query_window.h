// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The last queries of one sequence in one layer: what the attention score looks at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"

namespace pinboard {

/// Keeps the most recent `capacity` queries. A value type; host memory.
class QueryWindow {
 public:
  static constexpr int kUnlimited = std::numeric_limits<int>::max();

  QueryWindow() = default;
  /// `width` values a query (query_heads * key_dim).
  QueryWindow(int capacity, int width) : capacity_(capacity), width_(width) {}

  /// queries [n, width] of the positions first_position, first_position + 1, ...
  void Append(absl::Span<const float> queries, std::int32_t first_position);

  /// Forgets the queries of `position` and later ones.
  void DropFrom(std::int32_t position);

  /// The last `count` queries (fewer where fewer were seen).
  absl::Span<const float> Last(int count) const;
  absl::Span<const std::int32_t> LastPositions(int count) const;

  /// A copy that holds at most `capacity` queries, now and later.
  QueryWindow WithCapacity(int capacity) const;

  std::size_t bytes() const { return data_.capacity() * sizeof(float); }

 private:
  void Trim();

  int capacity_ = 0;
  int width_ = 0;
  std::vector<float> data_;
  std::vector<std::int32_t> positions_;
};

}  // namespace pinboard
