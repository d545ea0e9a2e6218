// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The way of host buffers to the device and back.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/cuda/device_buffer.h"
#include "base/cuda/pinned_buffer.h"

namespace pinboard::transport {

/// A stream, with pinned and device memory that grow to the longest collective seen.
/// Thread-compatible; on the device that was current at Start.
class HostRelay {
 public:
  HostRelay() = default;
  ~HostRelay();
  HostRelay(const HostRelay&) = delete;
  HostRelay& operator=(const HostRelay&) = delete;

  absl::Status Start();
  cudaStream_t stream() const { return stream_; }

  /// Room for `bytes` on both sides. Waits for what an aborted collective left on the stream.
  absl::Status Reserve(std::size_t bytes);
  std::byte* device() const { return device_.data(); }
  const std::byte* host() const { return host_.bytes().data(); }

  /// Stream-ordered: bytes [offset, offset + from.size()) of device() become those of `from`, which
  /// is read before this returns.
  absl::Status ToDevice(absl::Span<const std::byte> from, std::size_t offset);
  /// Stream-ordered: the first `bytes` of host() become those of device().
  absl::Status ToHost(std::size_t bytes);

  /// The event happens when `stream` has passed all that is on it; valid until the next call.
  absl::StatusOr<cudaEvent_t> Mark(cudaStream_t stream);

 private:
  cudaStream_t stream_ = nullptr;
  cudaEvent_t event_ = nullptr;
  cuda::PinnedBuffer host_;
  cuda::DeviceBuffer<std::byte> device_;
};

}  // namespace pinboard::transport
