// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Owned device memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/cuda/cuda_status.h"

namespace pinboard::cuda {

/// `size()` elements of T in device memory, not initialised; freed with the buffer. Move-only; a
/// moved-from buffer is empty. The destructor waits for the device (cudaFree): keep buffers out of
/// hot paths.
template <typename T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  static absl::StatusOr<DeviceBuffer> Make(std::size_t size) {
    DeviceBuffer buffer;
    void* data = nullptr;
    if (auto status = ToStatus(cudaMalloc(&data, size * sizeof(T)), "cudaMalloc"); !status.ok()) {
      return status;
    }
    buffer.data_ = static_cast<T*>(data);
    buffer.size_ = size;
    return buffer;
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~DeviceBuffer() {
    if (data_ != nullptr) (void)cudaFree(data_);
  }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }

  /// Stream-ordered; host memory must stay valid until the stream has passed it.
  absl::Status CopyFrom(absl::Span<const T> host, cudaStream_t stream) {
    return ToStatus(cudaMemcpyAsync(data_, host.data(), host.size() * sizeof(T),
                                    cudaMemcpyHostToDevice, stream),
                    "copy to the device");
  }
  absl::Status CopyTo(absl::Span<T> host, cudaStream_t stream) const {
    return ToStatus(cudaMemcpyAsync(host.data(), data_, host.size() * sizeof(T),
                                    cudaMemcpyDeviceToHost, stream),
                    "copy from the device");
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pinboard::cuda
