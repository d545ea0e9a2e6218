// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/buffer_pool.h"

#include <algorithm>
#include <bit>

namespace pinboard::transport {
namespace {

constexpr std::size_t kSmallestBytes = 256;

int SizeClass(std::size_t bytes) { return std::bit_width(std::max(bytes, kSmallestBytes) - 1); }

}  // namespace

Buffer BufferPool::Get(std::size_t bytes) {
  const int size_class = SizeClass(bytes);
  auto& idle = idle_.at(size_class);
  Buffer buffer;
  if (!idle.empty()) {
    buffer = std::move(idle.back());
    idle.pop_back();
    idle_bytes_ -= std::size_t{1} << size_class;
  } else {
    buffer.bytes_.reset(new std::byte[std::size_t{1} << size_class]);
    buffer.size_class_ = size_class;
  }
  buffer.size_ = bytes;
  return buffer;
}

void BufferPool::Put(Buffer buffer) {
  if (buffer.bytes_ == nullptr) return;
  const std::size_t capacity = std::size_t{1} << buffer.size_class_;
  if (idle_bytes_ + capacity > kRetainedBytes) return;
  idle_bytes_ += capacity;
  idle_.at(buffer.size_class_).push_back(std::move(buffer));
}

}  // namespace pinboard::transport
