// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/block_allocator.h"

#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {

BlockAllocator::BlockAllocator(int total) : free_(total), holders_(total, 0) {
  std::iota(free_.rbegin(), free_.rend(), 0);
}

absl::Status BlockAllocator::CheckFree(int count) const {
  if (count <= free()) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the KV cache has ", free(), " free blocks of ", total(), ", ", count,
                   " are needed; compress or end a sequence, or give the cache more blocks"));
}

absl::Status BlockAllocator::Allocate(int count, std::vector<std::int32_t>* table) {
  PB_RETURN_IF_ERROR(CheckFree(count));
  for (int i = 0; i < count; ++i) {
    table->push_back(free_.back());
    holders_[free_.back()] = 1;
    free_.pop_back();
  }
  return absl::OkStatus();
}

absl::Status BlockAllocator::Share(absl::Span<const std::int32_t> blocks) {
  for (const std::int32_t block : blocks) {
    if (block < 0 || block >= total() || holders_[block] == 0) {
      return absl::InternalError(absl::StrCat("block ", block, " is shared but not owned"));
    }
  }
  for (const std::int32_t block : blocks) ++holders_[block];
  return absl::OkStatus();
}

absl::Status BlockAllocator::Free(absl::Span<const std::int32_t> blocks) {
  std::vector<std::int32_t> emptied;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::int32_t block = blocks[i];
    if (block < 0 || block >= total() || holders_[block] == 0) {
      for (std::size_t j = 0; j < i; ++j) ++holders_[blocks[j]];
      return absl::InternalError(absl::StrCat("block ", block, " is freed but not owned"));
    }
    if (--holders_[block] == 0) emptied.push_back(block);
  }
  free_.insert(free_.end(), emptied.rbegin(), emptied.rend());
  return absl::OkStatus();
}

}  // namespace pinboard::engine
