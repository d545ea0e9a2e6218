// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Device memory for what lives within a step.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "base/cuda/device_buffer.h"
#include "base/status_macros.h"

namespace pinboard::engine {

inline std::atomic<std::uint64_t> g_scratch_growths = 0;
/// How often any scratch of the process has moved: an address from before may be stale.
inline std::uint64_t ScratchGrowths() { return g_scratch_growths; }

/// Grows with the largest request, which waits for the device and forgets the contents, and never
/// shrinks. Addresses are those of cudaMalloc: 256-byte aligned.
template <typename T>
class Scratch {
 public:
  absl::StatusOr<T*> Reserve(std::size_t size) {
    if (size > buffer_.size()) {
      const std::size_t grown = std::max(size, buffer_.size() + buffer_.size() / 2);
      ++g_scratch_growths;
      buffer_ = {};  // the old memory first: there may be no room for both
      PB_ASSIGN_OR_RETURN(buffer_, cuda::DeviceBuffer<T>::Make(grown));
    }
    return buffer_.data();
  }
  T* data() const { return buffer_.data(); }

 private:
  cuda::DeviceBuffer<T> buffer_;
};

}  // namespace pinboard::engine
