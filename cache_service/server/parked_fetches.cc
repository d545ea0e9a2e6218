// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/server/parked_fetches.h"

#include <algorithm>
#include <iterator>

namespace pinboard::cache_service {

void ParkedFetches::Add(GroupId group, const ParkedFetch& fetch) {
  by_page_[{group, fetch.page.key}].push_back(fetch);
  ++size_;
  next_expiry_ = std::min(next_expiry_, fetch.expires);
}

std::vector<ParkedFetch> ParkedFetches::Take(GroupId group, const PageKey& key) {
  if (by_page_.empty()) return {};  // as nearly always
  const auto found = by_page_.find({group, key});
  if (found == by_page_.end()) return {};
  std::vector<ParkedFetch> taken = std::move(found->second);
  by_page_.erase(found);
  size_ -= taken.size();
  return taken;
}

template <typename Predicate>
std::vector<ParkedFetch> ParkedFetches::TakeIf(Predicate predicate) {
  std::vector<ParkedFetch> taken;
  next_expiry_ = absl::InfiniteFuture();
  for (auto page = by_page_.begin(); page != by_page_.end();) {
    std::vector<ParkedFetch>& waiting = page->second;
    const auto first_taken = std::stable_partition(
        waiting.begin(), waiting.end(), [&](const ParkedFetch& f) { return !predicate(f); });
    std::move(first_taken, waiting.end(), std::back_inserter(taken));
    waiting.erase(first_taken, waiting.end());
    for (const ParkedFetch& fetch : waiting) next_expiry_ = std::min(next_expiry_, fetch.expires);
    if (waiting.empty()) {
      by_page_.erase(page++);
    } else {
      ++page;
    }
  }
  size_ -= taken.size();
  return taken;
}

std::vector<ParkedFetch> ParkedFetches::TakeExpired(absl::Time now) {
  if (now < next_expiry_) return {};
  return TakeIf([now](const ParkedFetch& fetch) { return fetch.expires <= now; });
}

void ParkedFetches::RemovePeer(transport::PeerId peer) {
  TakeIf([peer](const ParkedFetch& fetch) { return fetch.peer == peer; });
}

}  // namespace pinboard::cache_service
