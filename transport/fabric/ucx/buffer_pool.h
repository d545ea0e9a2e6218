// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Receive and staging buffers that are used again instead of allocated again.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace pinboard::transport {

/// Uninitialised bytes of a power-of-two capacity. Move-only; give it back with BufferPool::Put.
class Buffer {
 public:
  Buffer() = default;
  std::byte* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }
  absl::Span<const std::byte> view() const { return {bytes_.get(), size_}; }

 private:
  friend class BufferPool;
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
  int size_class_ = -1;
};

/// Keeps at most kRetainedBytes of idle buffers; what is beyond goes back to the system.
/// Thread-compatible. Buffers may outlive the pool.
class BufferPool {
 public:
  static constexpr std::size_t kRetainedBytes = std::size_t{64} << 20;

  Buffer Get(std::size_t bytes);
  void Put(Buffer buffer);

 private:
  static constexpr int kSizeClasses = 40;
  std::array<std::vector<Buffer>, kSizeClasses> idle_;
  std::size_t idle_bytes_ = 0;
};

}  // namespace pinboard::transport
