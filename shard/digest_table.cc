// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/digest_table.h"

#include <algorithm>

#include "base/status_macros.h"

namespace pinboard {

absl::StatusOr<PageDigest> MakeDigest(const KvShape& shape, absl::Span<const std::byte> bytes) {
  const auto heads = static_cast<std::size_t>(shape.kv_heads);
  const std::size_t centres = heads * kernels::kDigestCentres;
  PageDigest digest;
  digest.centres.resize(centres * static_cast<std::size_t>(shape.key_dim));
  digest.counts.resize(centres);
  digest.step.resize(heads);
  PB_RETURN_IF_ERROR(
      kernels::BuildDigest(shape, bytes,
                           {absl::MakeSpan(digest.centres), absl::MakeSpan(digest.counts),
                            absl::MakeSpan(digest.step)}));
  return digest;
}

void DigestTable::Add(std::uint32_t page, const PageDigest& digest) {
  std::size_t slot = step_.size() / digest.step.size();
  if (free_.empty()) {
    centres_.resize(centres_.size() + digest.centres.size());
    counts_.resize(counts_.size() + digest.counts.size());
    step_.resize(step_.size() + digest.step.size());
  } else {
    slot = static_cast<std::size_t>(free_.back());
    free_.pop_back();
  }
  slots_[page] = static_cast<std::int32_t>(slot);
  const auto put = [slot](const auto& from, auto& to) {
    std::copy(from.begin(), from.end(),
              to.begin() + static_cast<std::ptrdiff_t>(slot * from.size()));
  };
  put(digest.centres, centres_);
  put(digest.counts, counts_);
  put(digest.step, step_);
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
