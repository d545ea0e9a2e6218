// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Device memory in the order of one stream.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "absl/status/statusor.h"
#include "base/cuda/cuda_status.h"
#include "base/memory_space.h"

namespace pinboard::cuda {

/// Lets the pool of the current device keep what is freed, which it would otherwise give back, and
/// ask for anew, at every wait for a stream.
inline absl::Status KeepFreedMemory() {
  int device = 0;
  if (auto status = ToStatus(cudaGetDevice(&device), "current device"); !status.ok()) return status;
  cudaMemPool_t pool = nullptr;
  if (auto status = ToStatus(cudaDeviceGetDefaultMemPool(&pool, device), "the memory pool");
      !status.ok()) {
    return status;
  }
  std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
  return ToStatus(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all),
                  "keep freed memory in the pool");
}

/// From the device's own pool (cudaMallocAsync): neither call waits. `stream` outlives this and
/// what it hands out.
class StreamMemory final : public MemorySpace {
 public:
  explicit StreamMemory(cudaStream_t stream) : stream_(stream) {}

  cudaStream_t stream() const { return stream_; }

  absl::StatusOr<std::shared_ptr<std::byte>> Allocate(std::size_t bytes) override {
    void* data = nullptr;
    if (auto status = ToStatus(cudaMallocAsync(&data, bytes, stream_), "cudaMallocAsync");
        !status.ok()) {
      return status;
    }
    return std::shared_ptr<std::byte>(
        static_cast<std::byte*>(data),
        [stream = stream_](std::byte* freed) { (void)cudaFreeAsync(freed, stream); });
  }
  absl::Status Copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    return ToStatus(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_),
                    "copy within the device");
  }

 private:
  cudaStream_t stream_;
};

}  // namespace pinboard::cuda
