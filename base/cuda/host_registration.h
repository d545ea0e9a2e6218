// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Host memory that others allocated, made accessible to kernels and copy engines.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/cuda/cuda_status.h"
#include "base/cuda/registered_ranges.h"
#include "base/memory_registration.h"
#include "base/status_macros.h"

namespace pinboard::cuda {

/// Pins `memory` (host memory of any origin, shared mappings too) until it is destroyed. Kernels
/// use the host's own addresses, whatever device they run on.
class HostRegistration final : public MemoryRegistration {
 public:
  /// On `device`, which becomes the calling thread's current one. Takes its time (every page is
  /// touched and pinned): once a mapping, not once a use. Unimplemented: the device has addresses
  /// of its own for host memory. ResourceExhausted: the memory cannot be pinned.
  static absl::StatusOr<std::unique_ptr<MemoryRegistration>> Make(int device,
                                                                  absl::Span<std::byte> memory) {
    PB_RETURN_IF_ERROR(ToStatus(cudaSetDevice(device), "choose the device"));
    int same_addresses = 0;
    PB_RETURN_IF_ERROR(
        ToStatus(cudaDeviceGetAttribute(&same_addresses,
                                        cudaDevAttrCanUseHostPointerForRegisteredMem, device),
                 "ask for the addresses of host memory"));
    if (same_addresses == 0) {
      return absl::UnimplementedError(
          "this device cannot use the host's addresses of registered memory");
    }
    PB_RETURN_IF_ERROR(ToStatus(cudaHostRegister(memory.data(), memory.size(),
                                                 cudaHostRegisterPortable | cudaHostRegisterMapped),
                                "register host memory with the device"));
    RegisteredRanges::OfProcess().Add(memory);
    return std::unique_ptr<MemoryRegistration>(new HostRegistration(memory.data()));
  }
  ~HostRegistration() override {
    RegisteredRanges::OfProcess().Remove(memory_);
    (void)cudaHostUnregister(memory_);
  }
  HostRegistration(const HostRegistration&) = delete;
  HostRegistration& operator=(const HostRegistration&) = delete;

 private:
  explicit HostRegistration(std::byte* memory) : memory_(memory) {}

  std::byte* memory_;
};

}  // namespace pinboard::cuda
