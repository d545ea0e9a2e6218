// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Hands out the blocks of the paged cache.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard::engine {

/// Blocks 0 ... total - 1, each free or held by one or more block tables. The block freed last is
/// handed out first, and the lowest first in the beginning: the same calls give the same blocks on
/// every rank. Thread-compatible.
class BlockAllocator {
 public:
  explicit BlockAllocator(int total);

  /// ResourceExhausted: fewer than `count` are free.
  absl::Status CheckFree(int count) const;
  /// Appends `count` blocks to `table`. ResourceExhausted: fewer are free, nothing was changed.
  absl::Status Allocate(int count, std::vector<std::int32_t>* table);
  /// One more holder of each. Internal, nothing was changed: a block is free or does not exist.
  absl::Status Share(absl::Span<const std::int32_t> blocks);
  /// One holder fewer of each; the blocks without any are free. Internal, nothing was changed: a
  /// block is free already or does not exist (a bug of the caller).
  absl::Status Free(absl::Span<const std::int32_t> blocks);

  /// Of a block that exists; 0: it is free.
  int holders(std::int32_t block) const { return holders_[block]; }

  int free() const { return static_cast<int>(free_.size()); }
  int total() const { return static_cast<int>(holders_.size()); }

 private:
  std::vector<std::int32_t> free_;  // the next one is at the back
  std::vector<int> holders_;
};

}  // namespace pinboard::engine
