// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The bytes of a received message, wherever they lie.
#pragma once

#include <ucp/api/ucp.h>

#include <cstddef>
#include <utility>

#include "absl/types/span.h"
#include "transport/fabric/ucx/buffer_pool.h"

namespace pinboard::transport {

/// A copy in a pooled buffer, or data that UCX assembled and lends. Move-only; gives back what it
/// holds. Must not outlive the pool and the worker.
class Payload {
 public:
  Payload() = default;
  Payload(BufferPool* pool, Buffer copy)
      : bytes_(copy.view()), pool_(pool), copy_(std::move(copy)) {}
  Payload(ucp_worker_h worker, void* lent, std::size_t bytes)
      : bytes_(static_cast<const std::byte*>(lent), bytes), worker_(worker), lent_(lent) {}
  Payload(Payload&& other) noexcept { *this = std::move(other); }
  Payload& operator=(Payload&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(pool_, other.pool_);
    std::swap(copy_, other.copy_);
    std::swap(worker_, other.worker_);
    std::swap(lent_, other.lent_);
    return *this;
  }
  ~Payload() {
    if (pool_ != nullptr) pool_->Put(std::move(copy_));
    if (lent_ != nullptr) ucp_am_data_release(worker_, lent_);
  }

  absl::Span<const std::byte> bytes() const { return bytes_; }

 private:
  absl::Span<const std::byte> bytes_;
  BufferPool* pool_ = nullptr;
  Buffer copy_;
  ucp_worker_h worker_ = nullptr;
  void* lent_ = nullptr;
};

}  // namespace pinboard::transport
