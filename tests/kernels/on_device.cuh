// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Lets a check that speaks of host memory run an operation on the device.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/cuda/cuda_status.h"
#include "base/cuda/device_buffer.h"
#include "base/status_macros.h"

namespace pinboard::kernels {

/// One call of an operation: copies inputs to the device, reads outputs back, and keeps what it
/// allocated until it goes. Guard zones behind each buffer show writes beyond its end.
class OnDevice {
 public:
  /// The input's copy. An empty input has an address too.
  template <typename T>
  T* In(absl::Span<const T> host) {
    return static_cast<T*>(Allocate(host.data(), host.size() * sizeof(T)));
  }
  template <typename T>
  T* In(const std::vector<T>& host) {
    return In(absl::MakeConstSpan(host));
  }

  /// Uninitialised memory (0xA5) for `count` values.
  template <typename T>
  T* Out(std::size_t count) {
    return static_cast<T*>(Allocate(nullptr, count * sizeof(T)));
  }

  /// `status` if it is not OK; otherwise waits for the device and checks the guard zones.
  absl::Status Finish(const absl::Status& status) {
    PB_RETURN_IF_ERROR(status);
    PB_RETURN_IF_ERROR(cuda::ToStatus(cudaDeviceSynchronize(), "wait for the device"));
    for (const auto& [buffer, bytes] : buffers_) {
      std::vector<std::byte> guard(kGuardBytes);
      PB_RETURN_IF_ERROR(
          Read(buffer.data() + bytes, absl::MakeSpan(guard), cudaMemcpyDeviceToHost));
      for (const std::byte byte : guard) {
        if (byte != kPoison) return absl::InternalError("the operation wrote beyond a buffer");
      }
    }
    return absl::OkStatus();
  }

  template <typename T>
  void Read(const T* device, absl::Span<T> host) {
    EXPECT_TRUE(Read(device, host, cudaMemcpyDeviceToHost).ok());
  }
  template <typename T>
  T Value(const T* device) {
    T value{};
    Read(device, absl::MakeSpan(&value, 1));
    return value;
  }

 private:
  static constexpr std::size_t kGuardBytes = 256;
  static constexpr std::byte kPoison{0xA5};

  template <typename T>
  static absl::Status Read(const T* from, absl::Span<T> to, cudaMemcpyKind kind) {
    return cuda::ToStatus(cudaMemcpy(to.data(), from, to.size() * sizeof(T), kind), "copy");
  }

  void* Allocate(const void* host, std::size_t bytes) {
    auto buffer = cuda::DeviceBuffer<std::byte>::Make(bytes + kGuardBytes);
    EXPECT_TRUE(buffer.ok()) << buffer.status();
    if (!buffer.ok()) return nullptr;
    EXPECT_EQ(cudaMemset(buffer->data(), 0xA5, buffer->size()), cudaSuccess);
    if (host != nullptr && bytes > 0) {
      EXPECT_EQ(cudaMemcpy(buffer->data(), host, bytes, cudaMemcpyHostToDevice), cudaSuccess);
    }
    // The fill is on its way otherwise, and streams that wait for no other do not wait for it.
    EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
    buffers_.emplace_back(*std::move(buffer), bytes);
    return buffers_.back().first.data();
  }

  std::vector<std::pair<cuda::DeviceBuffer<std::byte>, std::size_t>> buffers_;
};

}  // namespace pinboard::kernels
