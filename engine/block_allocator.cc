// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/block_allocator.h"

#include <numeric>

#include "absl/strings/str_cat.h"

namespace pinboard::engine {

BlockAllocator::BlockAllocator(int total) : free_(total), owned_(total, false) {
  std::iota(free_.rbegin(), free_.rend(), 0);
}

absl::Status BlockAllocator::Allocate(int count, std::vector<std::int32_t>* table) {
  if (count > free()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the KV cache has ", free(), " free blocks of ", total(), ", ", count,
                     " are needed; compress or end a sequence, or give the cache more blocks"));
  }
  for (int i = 0; i < count; ++i) {
    table->push_back(free_.back());
    owned_[free_.back()] = true;
    free_.pop_back();
  }
  return absl::OkStatus();
}

absl::Status BlockAllocator::Free(absl::Span<const std::int32_t> blocks) {
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::int32_t block = blocks[i];
    if (block < 0 || block >= total() || !owned_[block]) {
      for (std::size_t j = 0; j < i; ++j) owned_[blocks[j]] = true;
      return absl::InternalError(absl::StrCat("block ", block, " is freed but not owned"));
    }
    owned_[block] = false;
  }
  free_.insert(free_.end(), blocks.rbegin(), blocks.rend());
  return absl::OkStatus();
}

}  // namespace pinboard::engine
