// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Clients that publish and fetch, and check every byte that comes back.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "app/service_load/workload.h"
#include "cache_service/page_store.h"

namespace pinboard::app {

/// One kind of operation, all clients together.
struct OperationCounts {
  std::uint64_t pages = 0;
  std::uint64_t bytes = 0;
  std::vector<double> latency_us;  // of each batch, sorted
  double busy_seconds = 0;         // their sum
  double copy_seconds = 0;         // of it, in copying the pages themselves
};

struct LoadResult {
  double seconds = 0;
  /// Fetch of a batch until its last page is there, and, where the workload says so, copied out;
  /// checking not included; hits alone are counted.
  OperationCounts get;
  /// Lease, copying the pages there and handing them to be published, which nobody waits for. Where
  /// pages are written in place, which is not in it: handing them to be published, the lease of the
  /// next batch, and waiting until the last of these pages has been fetched, so that nothing that
  /// the service does for them is hidden behind the writing.
  OperationCounts put;
  std::uint64_t checked_pages = 0;   // all that came back
  std::uint64_t misses = 0;          // evicted, or replaced meanwhile
  std::uint64_t refused_leases = 0;  // of batches
  std::uint64_t wrong_pages = 0;     // other bytes, or another header, than were published
};

/// A store for one client: those of a tenant are of one group.
using StoreFactory =
    std::function<absl::StatusOr<std::unique_ptr<cache_service::PageStore>>(int client)>;

/// Each client owns the pages of some sequences, and alone publishes them, each time in a new
/// generation; all of a tenant fetch the pages of all of it, in the generation that was published
/// last. Each publishes its pages once, then all start together. Blocks; once it is `interrupted`,
/// the time is over. Errors: a store that cannot be made, or that ends.
absl::StatusOr<LoadResult> RunLoad(const Workload& workload, const StoreFactory& make_store,
                                   const std::atomic<bool>& interrupted);

}  // namespace pinboard::app
