// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/rank_device.h"

#include "base/cuda/device.h"
#include "base/cuda/host_registration.h"

namespace pinboard::app {

absl::StatusOr<MemoryRegistrar> ChooseDevice(int rank) {
  PB_ASSIGN_OR_RETURN(const int devices, cuda::CountDevices());
  const int device = rank % devices;
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaSetDevice(device), "choose a CUDA device"));
  return [device](absl::Span<std::byte> memory) {
    return cuda::HostRegistration::Make(device, memory);
  };
}

}  // namespace pinboard::app
