// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/replication/missed_drops.h"

#include <algorithm>
#include <utility>

namespace pinboard::cache_service {

std::size_t MissedDrops::PagesOf(const Drop& drop) {
  const auto* const pages = std::get_if<PeerDrop>(drop.get());
  return pages == nullptr ? 1 : std::max<std::size_t>(pages->pages.size(), 1);
}

void MissedDrops::Add(Drop drop) {
  const std::size_t pages = PagesOf(drop);
  if (pages > kMostPages - pages_) {
    lost_ += pages;
    return;
  }
  pages_ += pages;
  drops_.push_back(std::move(drop));
}

MissedDrops::Drop MissedDrops::TakeFirst() {
  Drop first = std::move(drops_.front());
  drops_.pop_front();
  pages_ -= PagesOf(first);
  return first;
}

void MissedDrops::Clear() {
  drops_.clear();
  pages_ = 0;
}

}  // namespace pinboard::cache_service
