// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A group whose ranks are processes of one or several hosts, over a Fabric.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "transport/collective/communicator.h"
#include "transport/fabric/fabric.h"

namespace pinboard::transport {

/// Meets the other ranks and returns when this rank is connected to every one of them. Rank 0
/// listens at `rendezvous` ("host:port"), the others try to reach it until `deadline`, and listen
/// at the same host for each other. `fabric` is the group's own. Size 1 needs no rendezvous.
///
/// DeadlineExceeded: names the ranks that did not come. AlreadyExists: rank 0 found the port in
/// use. FailedPrecondition: ranks disagree on the size, or two claim one rank. InvalidArgument:
/// rank or size out of range, or not an address.
///
/// Sums of at most 64 KiB (2 ranks: 1 MiB) are exchanged directly, larger ones by reduce-scatter
/// and all-gather; both add in rank order.
absl::StatusOr<std::unique_ptr<Communicator>> MakeHostCommunicator(std::unique_ptr<Fabric> fabric,
                                                                   int rank, int size,
                                                                   const std::string& rendezvous,
                                                                   absl::Time deadline);

}  // namespace pinboard::transport
