// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The Fabric between processes: UCX for data, one TCP socket per peer for rendezvous and liveness.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "transport/fabric/fabric.h"

namespace pinboard::transport {

struct UcxFabricOptions {
  /// A connection that has not completed its handshake by then is dropped, and one that was closed
  /// here and has not been by the other side.
  absl::Duration handshake_timeout = absl::Seconds(5);
};

/// A Fabric over UCX: shared memory between processes of one host, sockets or RDMA between hosts,
/// whatever UCX_TLS and UCX_NET_DEVICES leave enabled. Segments of a peer on this host are mapped
/// without UCX (shared_mapping.h), unless UCX_TLS leaves shared memory out. A peer is found dead
/// when its socket closes, which the kernel does at once for a killed process. Thread-compatible,
/// see Fabric; the instances of several threads are independent. Unavailable: UCX cannot start (the
/// message says which environment variables to look at).
absl::StatusOr<std::unique_ptr<Fabric>> MakeUcxFabric(const UcxFabricOptions& options = {});

}  // namespace pinboard::transport
