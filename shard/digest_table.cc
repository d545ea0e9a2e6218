// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/digest_table.h"

namespace pinboard {

absl::Status DigestTable::Add(const KvShape& shape, std::uint32_t page,
                              absl::Span<const std::byte> bytes) {
  const auto heads = static_cast<std::size_t>(shape.kv_heads);
  const std::size_t centres = heads * kernels::kDigestCentres;
  const std::size_t width = centres * static_cast<std::size_t>(shape.key_dim);
  std::size_t slot = step_.size() / heads;
  if (free_.empty()) {
    centres_.resize(centres_.size() + width);
    counts_.resize(counts_.size() + centres);
    step_.resize(step_.size() + heads);
  } else {
    slot = static_cast<std::size_t>(free_.back());
    free_.pop_back();
  }
  slots_[page] = static_cast<std::int32_t>(slot);
  return kernels::BuildDigest(shape, bytes,
                              {absl::MakeSpan(centres_).subspan(slot * width, width),
                               absl::MakeSpan(counts_).subspan(slot * centres, centres),
                               absl::MakeSpan(step_).subspan(slot * heads, heads)});
}

void DigestTable::Remove(std::uint32_t page) {
  const auto found = slots_.find(page);
  if (found == slots_.end()) return;
  free_.push_back(found->second);
  slots_.erase(found);
}

std::vector<std::int32_t> DigestTable::Slots(absl::Span<const std::uint32_t> pages) const {
  std::vector<std::int32_t> slots;
  slots.reserve(pages.size());
  for (const std::uint32_t page : pages) slots.push_back(slots_.at(page));
  return slots;
}

}  // namespace pinboard
