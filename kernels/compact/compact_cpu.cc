// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/compact/compact.h"
#include "kernels/paged_rows.h"

namespace pinboard::kernels {
namespace {

absl::Status CheckArgs(const CompactArgs& args) {
  const std::int64_t rows = static_cast<std::int64_t>(args.source_rows.size());
  if (args.first_row < 0 || args.source_rows.front() < 0) {
    return absl::InvalidArgumentError("Compact: rows are numbered from 0");
  }
  for (std::size_t i = 1; i < args.source_rows.size(); ++i) {
    if (args.source_rows[i] <= args.source_rows[i - 1]) {
      return absl::InvalidArgumentError(absl::StrCat("Compact: source row ", args.source_rows[i],
                                                     " follows ", args.source_rows[i - 1],
                                                     ": source rows must ascend"));
    }
  }
  const std::int64_t end =
      std::max<std::int64_t>(args.first_row + rows, std::int64_t{args.source_rows.back()} + 1);
  return CheckRows("Compact", {args.cache, args.shape, args.block_size, args.block_table}, end);
}

class RowMover {
 public:
  explicit RowMover(const CompactArgs& args) : args_(args) {}

  void Move(std::int64_t from, std::int64_t to) const {
    MoveHeads(args_.cache.key, args_.shape.KeyBytes(), from, to);
    if (!args_.shape.value_in_key) MoveHeads(args_.cache.value, args_.shape.ValueBytes(), from, to);
  }

 private:
  void MoveHeads(const KvPlane& plane, std::size_t bytes, std::int64_t from,
                 std::int64_t to) const {
    const std::size_t head_bytes = bytes / static_cast<std::size_t>(args_.shape.kv_heads);
    for (int head = 0; head < args_.shape.kv_heads; ++head) {
      std::memcpy(RowAddress(plane, args_.block_table.data(), args_.block_size, to, head),
                  RowAddress(plane, args_.block_table.data(), args_.block_size, from, head),
                  head_bytes);
    }
  }

  const CompactArgs& args_;
};

}  // namespace

absl::Status Compact(const CompactArgs& args) {
  if (args.source_rows.empty()) return absl::OkStatus();
  PB_RETURN_IF_ERROR(CheckArgs(args));
  const RowMover mover(args);
  const auto target = [&](std::size_t i) { return args.first_row + static_cast<std::int64_t>(i); };
  const std::size_t rows = args.source_rows.size();
  std::size_t first_left = 0;  // rows before it move right
  while (first_left < rows && args.source_rows[first_left] < target(first_left)) ++first_left;
  for (std::size_t i = first_left; i > 0; --i) mover.Move(args.source_rows[i - 1], target(i - 1));
  for (std::size_t i = first_left; i < rows; ++i) {
    if (args.source_rows[i] != target(i)) mover.Move(args.source_rows[i], target(i));
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
