// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The PageStore of a rank: pages in a cache service reached over a Fabric.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

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
  absl::Duration connect_timeout = absl::Seconds(5);
  /// What the client shows a service that has keys. Where set, a service without is not used.
  std::optional<Credentials> credentials;
  /// Where set, leases and pins lie in memory that it has registered: with a device that is to
  /// reach them. Called once a segment of the service, on the thread that connects, or where a
  /// service with tenants gives it more, on the store's own; it may take longer than
  /// connect_timeout. What it returns goes before the segment is unmapped. Then the service's
  /// memory must be mapped, and a connection where it is not, or where this fails, ends.
  MemoryRegistrar register_memory;
};

/// A random group.
std::uint64_t NewGroupId();

/// Connects to the service at "host:port". The store works on a thread of its own, and on that of a
/// call that waits; only Lease and WaitFetched wait. Leases and pins point straight into the
/// service's memory where the transport can map it, else at copies (said once in the log where
/// mapping was to be expected).
///
/// When the service dies, fetches under way resolve as Unavailable and later calls fail at once;
/// memory of leases and pins stays valid until they are dropped. The store reconnects in the
/// background; nothing of the service's earlier life is served afterwards.
///
/// Unavailable: nobody listens there; FailedPrecondition: the service is of another version, was to
/// ask for a key and does not, or its memory was to be registered and cannot be mapped;
/// Unauthenticated: it wants a key, or a newer one; PermissionDenied: it admits no such tenant with
/// such a key; or the error of register_memory.
absl::StatusOr<std::unique_ptr<PageStore>> ConnectPageStore(const FabricFactory& make_fabric,
                                                            const std::string& address,
                                                            const PageStoreOptions& options);

}  // namespace pinboard::cache_service
