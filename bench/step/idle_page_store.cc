// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/step/idle_page_store.h"

#include <utility>

namespace pinboard::bench {

void IdlePageStore::Deliver() {
  for (const cache_service::PageRef& page : asked_) {
    cache_service::FetchResult& result = come_.emplace_back();
    result.page = page;
    result.header.bytes = static_cast<std::uint32_t>(page_.size());
    result.pin = cache_service::PagePin(page_, [] {});
  }
  asked_.clear();
}

absl::StatusOr<std::vector<cache_service::PageLease>> IdlePageStore::Lease(int count, std::size_t,
                                                                           absl::Time) {
  std::vector<cache_service::PageLease> leases;
  for (int i = 0; i < count; ++i) leases.emplace_back(absl::MakeSpan(page_), 0, [] {});
  return leases;
}

void IdlePageStore::Publish(std::vector<cache_service::PageLease> leases,
                            absl::Span<const cache_service::PageHeader>) {
  for (cache_service::PageLease& lease : leases) lease.Forget();
}

void IdlePageStore::Fetch(absl::Span<const cache_service::PageRef> pages, absl::Time) {
  asked_.insert(asked_.end(), pages.begin(), pages.end());
}

std::vector<cache_service::FetchResult> IdlePageStore::TakeFetched() {
  return std::exchange(come_, {});
}

}  // namespace pinboard::bench
