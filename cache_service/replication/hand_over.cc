// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/hand_over.h"

#include <algorithm>
#include <utility>

namespace pinboard::cache_service {
namespace {

constexpr auto kByValue = [](const auto& a, const auto& b) { return a.value < b.value; };
constexpr auto kLowestFirst = [](const auto& a, const auto& b) { return b.value < a.value; };

}  // namespace

void HandOver::Look(std::uint32_t chunks) {
  if (!is_looking()) return;
  const std::uint32_t end = std::min(inventory_.chunks(), next_chunk_ + chunks);
  for (; next_chunk_ < end; ++next_chunk_) {
    inventory_.ForEachUnnamed(next_chunk_, [this](SlabId slab, std::int64_t value) {
      Consider({value, slab});
    });
  }
  if (next_chunk_ == inventory_.chunks()) EndLook();
}

void HandOver::Consider(const Choice& choice) {
  ++found_;
  if (heap_.size() == kMostChosen) {
    if (choice.value <= heap_.front().value) return;
    std::pop_heap(heap_.begin(), heap_.end(), kLowestFirst);
    heap_.pop_back();
  }
  heap_.push_back(choice);
  std::push_heap(heap_.begin(), heap_.end(), kLowestFirst);
}

void HandOver::EndLook() {
  chosen_ = std::exchange(heap_, {});
  std::sort(chosen_.begin(), chosen_.end(), kByValue);
  left_ = std::exchange(found_, 0);
  next_chunk_ = 0;
  done_ = chosen_.empty();
}

std::optional<NamedPage> HandOver::Next() {
  while (!chosen_.empty()) {
    const SlabId slab = chosen_.back().slab;
    chosen_.pop_back();
    --left_;
    if (const auto named = inventory_.Name(slab)) return named;  // else it has left meanwhile
  }
  return std::nullopt;
}

}  // namespace pinboard::cache_service
