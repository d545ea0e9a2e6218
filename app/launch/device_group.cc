// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/device_group.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/cuda/device.h"
#include "base/status_macros.h"
#include "transport/collective/nccl/nccl_communicator.h"

namespace pinboard::app {

absl::StatusOr<std::unique_ptr<transport::Communicator>> MakeDeviceGroup(
    std::unique_ptr<transport::Communicator> control, absl::Time deadline) {
  if (control->size() == 1) return control;
  PB_ASSIGN_OR_RETURN(const int devices, cuda::CountDevices());
  if (control->size() > devices) {
    const std::string host = absl::StrCat("pinboard-host-", control->rank() / devices);
    setenv("NCCL_HOSTID", host.c_str(), /*overwrite=*/0);
  }
  PB_ASSIGN_OR_RETURN(std::unique_ptr<transport::Communicator> group,
                      transport::MakeNcclCommunicator(std::move(control), deadline));
  return group;
}

}  // namespace pinboard::app
