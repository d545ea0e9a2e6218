// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/device_group.h"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "transport/collective/nccl/nccl_communicator.h"

namespace pinboard::app {

absl::StatusOr<std::unique_ptr<transport::Communicator>> MakeDeviceGroup(
    std::unique_ptr<transport::Communicator> control, absl::Time deadline) {
  int devices = 0;
  if (const absl::Status found = cuda::ToStatus(cudaGetDeviceCount(&devices), "CUDA");
      !found.ok()) {
    return absl::UnavailableError(
        absl::StrCat("no usable CUDA device, use --backend cpu: ", found.message()));
  }
  PB_RETURN_IF_ERROR(
      cuda::ToStatus(cudaSetDevice(control->rank() % devices), "choose a CUDA device"));
  if (control->size() == 1) return control;
  if (control->size() > devices) {
    const std::string own = absl::StrCat("pinboard-rank-", control->rank());
    setenv("NCCL_HOSTID", own.c_str(), /*overwrite=*/0);
  }
  PB_ASSIGN_OR_RETURN(std::unique_ptr<transport::Communicator> group,
                      transport::MakeNcclCommunicator(std::move(control), deadline));
  return group;
}

}  // namespace pinboard::app
