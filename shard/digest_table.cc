// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/digest_table.h"

#include <algorithm>
#include <iterator>

#include "base/status_macros.h"

namespace pinboard {
namespace {

/// Where an array must grow it gets room for as many slots more: what a round adds before it has
/// let go of others, so that the rounds after a band's first one copy no digests.
constexpr std::size_t kSpareSlots = 32;

template <typename T>
absl::StatusOr<absl::Span<T>> Grow(SpaceVector<T>* array, std::size_t slots, std::size_t each) {
  if (slots * each > array->capacity()) {
    PB_RETURN_IF_ERROR(array->Resize((slots + kSpareSlots) * each).status());
  }
  return array->Resize(slots * each);
}

}  // namespace

DigestTable::DigestTable(MemorySpace* space, const KvShape& shape)
    : kv_heads_(shape.kv_heads),
      key_dim_(shape.key_dim),
      centres_(space),
      counts_(space),
      step_(space) {}

absl::StatusOr<DigestTable::FreeSlots> DigestTable::Free(std::size_t count) {
  const auto missing = static_cast<std::int32_t>(count) - static_cast<std::int32_t>(free_.size());
  const std::size_t slots = slot_count_ + std::max(missing, 0);
  const std::size_t counts_each = std::size_t(kv_heads_) * kernels::kDigestCentres;
  FreeSlots free;
  PB_ASSIGN_OR_RETURN(free.arrays.centres, Grow(&centres_, slots, counts_each * key_dim_));
  PB_ASSIGN_OR_RETURN(free.arrays.counts, Grow(&counts_, slots, counts_each));
  PB_ASSIGN_OR_RETURN(free.arrays.step, Grow(&step_, slots, std::size_t(kv_heads_)));
  // The new ones below those that were free, which go first.
  std::vector<std::int32_t> added;
  while (slot_count_ < static_cast<std::int32_t>(slots)) added.push_back(slot_count_++);
  free_.insert(free_.begin(), added.rbegin(), added.rend());
  free.slots.assign(free_.rbegin(), free_.rbegin() + static_cast<std::ptrdiff_t>(count));
  return free;
}

void DigestTable::Add(std::uint32_t page, std::int32_t slot) {
  // From the end, where Free takes them.
  const auto found = std::find(free_.rbegin(), free_.rend(), slot);
  free_.erase(std::prev(found.base()));
  const auto at = std::lower_bound(pages_.begin(), pages_.end(), page) - pages_.begin();
  pages_.insert(pages_.begin() + at, page);
  slots_.insert(slots_.begin() + at, slot);
}

void DigestTable::Remove(std::uint32_t page) {
  const auto at = std::lower_bound(pages_.begin(), pages_.end(), page) - pages_.begin();
  if (at == std::ssize(pages_) || pages_[at] != page) return;
  free_.push_back(slots_[at]);
  pages_.erase(pages_.begin() + at);
  slots_.erase(slots_.begin() + at);
}

std::vector<std::int32_t> DigestTable::Slots(absl::Span<const std::uint32_t> pages) const {
  std::vector<std::int32_t> slots;
  slots.reserve(pages.size());
  for (const std::uint32_t page : pages) {
    slots.push_back(slots_[std::lower_bound(pages_.begin(), pages_.end(), page) - pages_.begin()]);
  }
  return slots;
}

}  // namespace pinboard
