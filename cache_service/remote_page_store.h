// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The PageStore of a rank: pages in cache services reached over a Fabric.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/memory_registration.h"
#include "cache_service/access/key_ring.h"
#include "cache_service/page_store.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

using FabricFactory = std::function<absl::StatusOr<std::unique_ptr<transport::Fabric>>()>;

struct PageStoreOptions {
  /// The clients that share pages: the same number on all ranks of an engine and another for each
  /// engine start (NewGroupId on one rank, then told to the others). Sequences of two groups never
  /// meet; a group's pages are dropped with its last client.
  std::uint64_t group = 0;
  /// In the service's log.
  std::string name = "client";
  absl::Duration connect_timeout = absl::Seconds(5);  // of each service, at the start
  /// What the client shows a service that has keys. Where set, a service without is not used.
  std::optional<Credentials> credentials;
  /// Where set, leases and pins lie in memory that it has registered: with a device that is to
  /// reach them. Called once a segment of a service that is connected to, on a thread of the
  /// store's; it may take longer than connect_timeout. What it returns goes before the segment is
  /// unmapped. Then the service's memory must be mapped, and a connection where it is not, or where
  /// this fails, ends.
  MemoryRegistrar register_memory;
};

/// A random group.
std::uint64_t NewGroupId();

/// Connects to the first service of `addresses` ("host:port") that answers. For each service that
/// it has turned to, the store works on a thread of its own, and on that of a call that waits; only
/// Lease and WaitFetched wait. Leases and pins point straight into the service's memory where the
/// transport can map it, else at copies (said once in the log where mapping was to be expected).
///
/// Each call goes to the first service that is well: connected, answering, and not draining. Where
/// none is, to the first that is connected at all. One that has failed is connected to again in the
/// background, and used again once it has been well for a while (client/service_health.h). A page
/// that another service has is a miss, unless the one that is asked can get it from there. Dropped
/// pages are dropped at all that are connected.
///
/// When a service dies, fetches under way there resolve as Unavailable, and later calls fail at
/// once until another is connected; memory of leases and pins stays valid until they are dropped.
/// Nothing of the service's earlier life is served afterwards.
///
/// Unavailable, and of a single one DeadlineExceeded: none answers. What a service answers that is
/// not to be used ends the search: FailedPrecondition: it is of another version, was to ask for a
/// key and does not, or its memory was to be registered and cannot be mapped; Unauthenticated: it
/// wants a key, or a newer one; PermissionDenied: it admits no such tenant with such a key; or the
/// error of register_memory.
absl::StatusOr<std::unique_ptr<PageStore>> ConnectPageStore(
    const FabricFactory& make_fabric, const std::vector<std::string>& addresses,
    const PageStoreOptions& options);

}  // namespace pinboard::cache_service
