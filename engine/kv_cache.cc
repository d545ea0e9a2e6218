// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/kv_cache.h"

#include "absl/strings/str_cat.h"

namespace pinboard::engine {
namespace {

KvPlane MakePlane(std::byte* base, int block_size, int heads, std::size_t head_bytes) {
  KvPlane plane;
  plane.base = base;
  plane.head_stride = static_cast<std::int64_t>(head_bytes);
  plane.token_stride = plane.head_stride * heads;
  plane.block_stride = plane.token_stride * block_size;
  return plane;
}

}  // namespace

absl::Status KvCache::CheckOptions(const KvCacheOptions& options) {
  const int size = options.block_size;
  if (size != 16 && size != 32 && size != 64) {
    return absl::InvalidArgumentError(
        absl::StrCat("block size ", size, ": choose 16, 32 or 64 tokens"));
  }
  if (options.blocks <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a KV cache of ", options.blocks, " blocks: give it at least one"));
  }
  return absl::OkStatus();
}

std::size_t KvCache::AreaBytes() const {
  return static_cast<std::size_t>(blocks()) * options_.block_size * options_.shape.RowBytes();
}

void KvCache::AddArea(std::byte* memory) {
  const KvShape& shape = options_.shape;
  KvLayerView view;
  view.key = MakePlane(memory, options_.block_size, shape.kv_heads,
                       shape.key_dim * DTypeBytes(shape.dtype));
  if (!shape.value_in_key) {
    const std::size_t tokens = static_cast<std::size_t>(blocks()) * options_.block_size;
    view.value = MakePlane(memory + tokens * shape.KeyBytes(), options_.block_size, shape.kv_heads,
                           shape.value_dim * DTypeBytes(shape.dtype));
  }
  views_.push_back(view);
}

std::size_t KvCache::BlockBytes() const {
  return areas() * options_.block_size * options_.shape.RowBytes();
}

}  // namespace pinboard::engine
