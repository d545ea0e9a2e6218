// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Slabs for more pages than the cache service gives at a time, or has room for.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/time/time.h"
#include "cache_service/page_store.h"

namespace pinboard {

/// `count` slabs of `bytes` each, or as many as the service gives by `deadline`: in one lease where
/// it can be, in smaller ones while it is refused for want of room. Blocks as PageStore::Lease.
std::vector<cache_service::PageLease> LeaseUpTo(cache_service::PageStore& store, std::size_t count,
                                                std::size_t bytes, absl::Time deadline);

}  // namespace pinboard
