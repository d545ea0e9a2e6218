// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/query_window.h"

#include <algorithm>

namespace pinboard {

void QueryWindow::Append(absl::Span<const float> queries, std::int32_t first_position) {
  if (capacity_ == 0) return;
  const auto count = static_cast<std::int64_t>(queries.size()) / width_;
  const std::int64_t skipped = std::max<std::int64_t>(0, count - capacity_);
  for (std::int64_t i = skipped; i < count; ++i) {
    positions_.push_back(first_position + static_cast<std::int32_t>(i));
  }
  data_.insert(data_.end(), queries.begin() + skipped * width_, queries.end());
  // Trimmed at twice the capacity, so that a step moves a constant number of bytes on average.
  if (positions_.size() / 2 >= static_cast<std::size_t>(capacity_)) Trim();
}

void QueryWindow::Trim() {
  const std::int64_t surplus = static_cast<std::int64_t>(positions_.size()) - capacity_;
  if (surplus <= 0) return;
  positions_.erase(positions_.begin(), positions_.begin() + surplus);
  data_.erase(data_.begin(), data_.begin() + surplus * width_);
}

void QueryWindow::DropFrom(std::int32_t position) {
  const auto first = std::lower_bound(positions_.begin(), positions_.end(), position);
  positions_.erase(first, positions_.end());
  data_.resize(positions_.size() * static_cast<std::size_t>(width_));
}

absl::Span<const float> QueryWindow::Last(int count) const {
  const std::size_t n = LastPositions(count).size() * static_cast<std::size_t>(width_);
  return absl::MakeConstSpan(data_).last(n);
}

absl::Span<const std::int32_t> QueryWindow::LastPositions(int count) const {
  const std::size_t n =
      std::min(positions_.size(), static_cast<std::size_t>(std::min(count, capacity_)));
  return absl::MakeConstSpan(positions_).last(n);
}

QueryWindow QueryWindow::WithCapacity(int capacity) const {
  QueryWindow copy(capacity, width_);
  const auto positions = LastPositions(capacity);
  const auto data = Last(capacity);
  copy.positions_.assign(positions.begin(), positions.end());
  copy.data_.assign(data.begin(), data.end());
  return copy;
}

}  // namespace pinboard
