// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/query_window.h"

#include <algorithm>

#include "base/status_macros.h"

namespace pinboard {

absl::StatusOr<absl::Span<float>> QueryWindow::Extend(std::int64_t count,
                                                      std::int32_t first_position) {
  const std::int64_t taken = std::min<std::int64_t>(count, capacity_);
  // Trimmed at twice the capacity, so that a step moves a constant number of bytes on average.
  const auto held = static_cast<std::int64_t>(positions_.size());
  if (held + taken > 2 * std::int64_t{capacity_}) PB_RETURN_IF_ERROR(KeepLast(capacity_));
  const std::size_t before = data_.size();
  PB_ASSIGN_OR_RETURN(const absl::Span<float> all,
                      data_.Resize(before + static_cast<std::size_t>(taken) * width_));
  for (std::int64_t i = count - taken; i < count; ++i) {
    positions_.push_back(first_position + static_cast<std::int32_t>(i));
  }
  return all.subspan(before);
}

absl::Status QueryWindow::KeepLast(int count) {
  const std::int64_t surplus = static_cast<std::int64_t>(positions_.size()) - count;
  if (surplus <= 0) return absl::OkStatus();
  PB_RETURN_IF_ERROR(data_.KeepLast(static_cast<std::size_t>(count) * width_));
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
  return KeepLast(capacity);
}

}  // namespace pinboard
