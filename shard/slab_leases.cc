// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/slab_leases.h"

#include <algorithm>
#include <iterator>

namespace pinboard {

std::vector<cache_service::PageLease> LeaseUpTo(cache_service::PageStore& store, std::size_t count,
                                                std::size_t bytes, absl::Time deadline) {
  std::vector<cache_service::PageLease> leases;
  std::size_t together = cache_service::kMostLeasedTogether;
  while (leases.size() < count && together > 0) {
    const std::size_t some = std::min(count - leases.size(), together);
    auto leased = store.Lease(static_cast<int>(some), bytes, deadline);
    if (leased.ok()) {
      std::move(leased->begin(), leased->end(), std::back_inserter(leases));
    } else if (absl::IsResourceExhausted(leased.status())) {
      together = some / 2;
    } else {
      break;
    }
  }
  return leases;
}

}  // namespace pinboard
