// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The devices of this machine.
#pragma once

#include <cuda_runtime_api.h>

#include "absl/status/statusor.h"

namespace pinboard::cuda {

/// At least 1. Unavailable, in words for a user: there is none that works.
inline absl::StatusOr<int> CountDevices() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0) return devices;
  (void)cudaGetLastError();
  return absl::UnavailableError(
      "no CUDA device on this machine: use --backend cpu, or a machine with one");
}

}  // namespace pinboard::cuda
