// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whose memory an address is in.
#pragma once

#include <cuda_runtime_api.h>

#include "base/cuda/registered_ranges.h"

namespace pinboard::cuda {

/// Whether kernels can use it: memory of a device, or of the host and registered.
inline bool IsReachable(const void* address) {
  if (RegisteredRanges::OfProcess().Contains(address)) return true;  // spares asking the driver
  cudaPointerAttributes attributes{};
  return cudaPointerGetAttributes(&attributes, address) == cudaSuccess &&
         attributes.type != cudaMemoryTypeUnregistered;
}

}  // namespace pinboard::cuda
