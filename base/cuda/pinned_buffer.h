// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Owned host memory that the device's copy engines reach.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/cuda/cuda_status.h"

namespace pinboard::cuda {

/// `size` bytes of page-locked host memory, not initialised; freed with the buffer. Move-only; a
/// moved-from buffer is empty. Allocating and freeing wait for the device: keep buffers.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  static absl::StatusOr<PinnedBuffer> Make(std::size_t size) {
    PinnedBuffer buffer;
    void* data = nullptr;
    if (auto status = ToStatus(cudaMallocHost(&data, size), "cudaMallocHost"); !status.ok()) {
      return status;
    }
    buffer.bytes_ = {static_cast<std::byte*>(data), size};
    return buffer;
  }
  PinnedBuffer(PinnedBuffer&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~PinnedBuffer() {
    if (bytes_.data() != nullptr) (void)cudaFreeHost(bytes_.data());
  }

  absl::Span<std::byte> bytes() const { return bytes_; }

 private:
  absl::Span<std::byte> bytes_;
};

}  // namespace pinboard::cuda
