// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/query_window.h"

#include <algorithm>

#include "base/status_macros.h"

namespace pinboard {

absl::Status QueryWindow::Append(absl::Span<const float> queries, std::int32_t first_position) {
  if (capacity_ == 0) return absl::OkStatus();
  const auto count = static_cast<std::int64_t>(queries.size()) / width_;
  const std::int64_t skipped = std::max<std::int64_t>(0, count - capacity_);
  PB_RETURN_IF_ERROR(data_.Append(queries.subspan(skipped * width_)));
  for (std::int64_t i = skipped; i < count; ++i) {
    positions_.push_back(first_position + static_cast<std::int32_t>(i));
  }
  // Trimmed at twice the capacity, so that a step moves a constant number of bytes on average.
  if (positions_.size() / 2 < static_cast<std::size_t>(capacity_)) return absl::OkStatus();
  return Trim();
}

absl::Status QueryWindow::Trim() {
  const std::int64_t surplus = static_cast<std::int64_t>(positions_.size()) - capacity_;
  if (surplus <= 0) return absl::OkStatus();
  PB_RETURN_IF_ERROR(data_.KeepLast(static_cast<std::size_t>(capacity_) * width_));
  positions_.erase(positions_.begin(), positions_.begin() + surplus);
  return absl::OkStatus();
}

void QueryWindow::DropFrom(std::int32_t position) {
  const auto first = std::lower_bound(positions_.begin(), positions_.end(), position);
  positions_.erase(first, positions_.end());
  data_.Truncate(positions_.size() * static_cast<std::size_t>(width_));
}

absl::Span<const float> QueryWindow::Last(int count) const {
  return data_.view().last(LastPositions(count).size() * static_cast<std::size_t>(width_));
}

absl::Span<const std::int32_t> QueryWindow::LastPositions(int count) const {
  const std::size_t n =
      std::min(positions_.size(), static_cast<std::size_t>(std::min(count, capacity_)));
  return absl::MakeConstSpan(positions_).last(n);
}

absl::Status QueryWindow::SetCapacity(int capacity) {
  capacity_ = capacity;
  return Trim();
}

}  // namespace pinboard
