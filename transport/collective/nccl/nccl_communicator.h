// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A group whose ranks each have a device, over NCCL.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "transport/collective/communicator.h"
#include "transport/collective/device_communicator.h"

namespace pinboard::transport {

/// Both interfaces over one group. Host buffers are staged through pinned and device memory that
/// grows to the longest seen. A collective on host memory meets the other ranks before NCCL sees
/// it; where the group has been given up, it forms it anew first, so a caller that captures graphs
/// compares formation(). Its float sums are gathered and added on the host, in rank order.
class NcclCommunicator : public Communicator, public DeviceCommunicator {
 public:
  int rank() const override = 0;
  int size() const override = 0;
};

/// Forms the group on the current device of each rank. `control`: a group of the same ranks (the
/// host communicator over a fabric) that this one owns from now on; it names who is late or lost.
/// Rank and size are its own. Group size 1: NCCL is not started.
///
/// DeadlineExceeded and Unavailable name ranks that did not come or are lost; Unavailable also: no
/// usable device. Internal: NCCL or CUDA failed on this rank.
absl::StatusOr<std::unique_ptr<NcclCommunicator>> MakeNcclCommunicator(
    std::unique_ptr<Communicator> control, absl::Time deadline);

}  // namespace pinboard::transport
