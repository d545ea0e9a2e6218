// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The last queries of one sequence in one layer: what the attention score looks at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/memory_space.h"
#include "base/space_vector.h"

namespace pinboard {

/// Keeps the most recent `capacity` queries. A value type; queries lie in a memory space, their
/// positions on the host. Errors: MemorySpace's.
class QueryWindow {
 public:
  static constexpr int kUnlimited = std::numeric_limits<int>::max();

  QueryWindow() = default;
  /// `width` values a query (query_heads * key_dim).
  QueryWindow(MemorySpace* space, int capacity, int width)
      : capacity_(capacity), width_(width), data_(space) {}

  /// Takes in `count` queries of the positions first_position, first_position + 1, ...: room for
  /// the last of them that it holds, [n, width] in the space, for the caller to write.
  absl::StatusOr<absl::Span<float>> Extend(std::int64_t count, std::int32_t first_position);

  /// Forgets the queries of `position` and later ones.
  void DropFrom(std::int32_t position);

  /// The last `count` queries (fewer where fewer were seen).
  absl::Span<const float> Last(int count) const;
  absl::Span<const std::int32_t> LastPositions(int count) const;

  /// Holds at most `capacity` queries, now and later.
  absl::Status SetCapacity(int capacity);

  int width() const { return width_; }
  std::size_t bytes() const { return data_.capacity() * sizeof(float); }

 private:
  absl::Status KeepLast(int count);

  int capacity_ = 0;
  int width_ = 0;
  SpaceVector<float> data_;
  std::vector<std::int32_t> positions_;
};

}  // namespace pinboard
