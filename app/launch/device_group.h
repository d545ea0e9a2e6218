// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The ranks' collectives where each rank works on a CUDA device.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "transport/collective/communicator.h"

namespace pinboard::app {

/// Makes the group of `control` one over NCCL, on each rank's current device (rank_device.h); a
/// group of one needs none. Ranks that share a device (rank modulo the devices) are told apart by
/// NCCL_HOSTID, one for each time round the devices, where the environment does not set it.
/// Unavailable: no device. Unimplemented: this build has no NCCL. Others: MakeNcclCommunicator's.
absl::StatusOr<std::unique_ptr<transport::Communicator>> MakeDeviceGroup(
    std::unique_ptr<transport::Communicator> control, absl::Time deadline);

}  // namespace pinboard::app
