// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A paged cache of the host and its copies on the device.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "absl/types/span.h"
#include "pinboard/kv_layout.h"
#include "tests/kernels/on_device.cuh"

namespace pinboard::kernels {

/// The bytes of a cache that the blocks of `tables` reach, as one span.
inline absl::Span<std::byte> CacheExtent(
    const KvLayerView& cache, const KvShape& shape, int block_size,
    std::initializer_list<absl::Span<const std::int32_t>> tables) {
  std::byte* begin = cache.key.base;
  std::byte* end = begin;
  const auto reach = [&](const KvPlane& plane, std::size_t bytes) {
    if (plane.base == nullptr) return;
    begin = std::min(begin, plane.base);
    for (const absl::Span<const std::int32_t> table : tables) {
      for (const std::int32_t block : table) {
        end = std::max(end, plane.base + block * plane.block_stride +
                                (block_size - 1) * plane.token_stride +
                                (shape.kv_heads - 1) * plane.head_stride +
                                static_cast<std::ptrdiff_t>(bytes) / shape.kv_heads);
      }
    }
  };
  reach(cache.key, shape.KeyBytes());
  reach(cache.value, shape.ValueBytes());
  return {begin, static_cast<std::size_t>(end - begin)};
}

/// Copies of one cache, as so many layers. Must not outlive `device`.
class CacheCopies {
 public:
  CacheCopies(OnDevice& device, const KvLayerView& cache, const KvShape& shape,
              absl::Span<std::byte> extent, int copies)
      : device_(device), cache_(cache), extent_(extent) {
    for (int i = 0; i < copies; ++i) copies_.push_back(device.In<std::byte>(extent));
    for (KvPlane* plane : {&cache_.key, &cache_.value}) {
      if (plane->scales == nullptr) continue;
      plane->scales = device.In(absl::MakeConstSpan(plane->scales, shape.kv_heads));
    }
  }

  KvLayerView view(int copy) const {
    KvLayerView view = cache_;
    for (KvPlane* plane : {&view.key, &view.value}) {
      if (plane->base != nullptr) plane->base = copies_[copy] + (plane->base - extent_.data());
    }
    return view;
  }

  /// Reads the first copy back into the host's cache. Internal: another copy differs from it.
  absl::Status ReadBack() {
    device_.Read(copies_[0], extent_);
    std::vector<std::byte> other(extent_.size());
    for (const std::byte* copy : copies_) {
      device_.Read(copy, absl::MakeSpan(other));
      if (std::memcmp(extent_.data(), other.data(), other.size()) != 0) {
        return absl::InternalError("two layers came out differently");
      }
    }
    return absl::OkStatus();
  }

 private:
  OnDevice& device_;
  KvLayerView cache_;  // planes of the host, scales of the device
  const absl::Span<std::byte> extent_;
  std::vector<std::byte*> copies_;
};

}  // namespace pinboard::kernels
