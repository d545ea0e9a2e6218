// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a build without NCCL has in place of a group of devices.
#include "app/launch/device_group.h"

namespace pinboard::app {

absl::StatusOr<std::unique_ptr<transport::Communicator>> MakeDeviceGroup(
    std::unique_ptr<transport::Communicator> control, absl::Time) {
  if (control->size() == 1) return control;
  return absl::UnimplementedError(
      "several ranks on CUDA devices need NCCL, which this build was made without: install it and "
      "build with preset cuda-release");
}

}  // namespace pinboard::app
