// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/compact/compact.h"
#include "kernels/paged_rows.h"
#include "pinboard/kv_layout.h"

namespace pinboard::kernels {
namespace {

absl::Span<const std::int32_t> DestinationTable(const CompactArgs& args) {
  return args.destination_table.empty() ? args.block_table : args.destination_table;
}

class RowMover {
 public:
  explicit RowMover(const CompactArgs& args)
      : args_(args), destination_table_(DestinationTable(args)) {}

  bool IsThere(std::int64_t from, std::int64_t to) const {
    const auto block = static_cast<std::size_t>(to / args_.block_size);
    return from == to && destination_table_[block] == args_.block_table[block];
  }

  void Move(std::int64_t from, std::int64_t to) const {
    MoveHeads(args_.cache.key, args_.shape.KeyBytes(), from, to);
    if (!args_.shape.value_in_key) MoveHeads(args_.cache.value, args_.shape.ValueBytes(), from, to);
  }

 private:
  void MoveHeads(const KvPlane& plane, std::size_t bytes, std::int64_t from,
                 std::int64_t to) const {
    const std::size_t head_bytes = bytes / static_cast<std::size_t>(args_.shape.kv_heads);
    for (int head = 0; head < args_.shape.kv_heads; ++head) {
      std::memcpy(RowAddress(plane, destination_table_.data(), args_.block_size, to, head),
                  RowAddress(plane, args_.block_table.data(), args_.block_size, from, head),
                  head_bytes);
    }
  }

  const CompactArgs& args_;
  const absl::Span<const std::int32_t> destination_table_;
};

}  // namespace

absl::Status CheckCompact(const CompactArgs& args) {
  if (args.source_rows.empty()) return absl::OkStatus();
  if (args.head_rows < 0 || args.first_row < args.head_rows) {
    return absl::InvalidArgumentError(absl::StrCat("Compact: rows would move to row ",
                                                   args.first_row, ", inside a head of ",
                                                   args.head_rows, " rows"));
  }
  std::vector<bool> copied(args.head_rows, false);
  std::int64_t last = args.head_rows - 1;
  for (const std::int32_t row : args.source_rows) {
    const bool in_head = row >= 0 && row < args.head_rows;
    if (row < 0 || (in_head ? copied[row] : row <= last)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Compact: source row ", row, ": sources are distinct and ascend behind the head"));
    }
    if (in_head) {
      copied[row] = true;
    } else {
      last = row;
    }
  }
  const std::int64_t targets_end =
      std::int64_t{args.first_row} + static_cast<std::int64_t>(args.source_rows.size());
  const std::int64_t sources_end = std::max<std::int64_t>(last + 1, args.head_rows);
  PB_RETURN_IF_ERROR(CheckRows(
      "Compact", {args.cache, args.shape, args.block_size, args.block_table}, sources_end));
  PB_RETURN_IF_ERROR(CheckRows(
      "Compact", {args.cache, args.shape, args.block_size, DestinationTable(args)}, targets_end));
  const int head_blocks = BlocksFor(args.head_rows, args.block_size);
  if (DestinationTable(args).first(head_blocks) != args.block_table.first(head_blocks)) {
    return absl::InvalidArgumentError("Compact: the destination would move the head's blocks");
  }
  return absl::OkStatus();
}

absl::Status Compact(const CompactArgs& args) {
  PB_RETURN_IF_ERROR(CheckCompact(args));
  const RowMover mover(args);
  const auto rows = static_cast<std::int64_t>(args.source_rows.size());
  const auto source = [&](std::int64_t i) { return std::int64_t{args.source_rows[i]}; };
  const auto target = [&](std::int64_t i) { return args.first_row + i; };
  const auto in_head = [&](std::int64_t i) { return source(i) < args.head_rows; };
  for (std::int64_t i = rows - 1; i >= 0; --i) {
    if (!in_head(i) && source(i) < target(i)) mover.Move(source(i), target(i));
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    if (in_head(i) || source(i) < target(i) || mover.IsThere(source(i), target(i))) continue;
    mover.Move(source(i), target(i));
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    if (in_head(i)) mover.Move(source(i), target(i));
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
