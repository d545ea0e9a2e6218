// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "engine/float_convert.h"

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

/// Contiguous values of one head in each of `rows` physical rows.
struct HeadRows {
  const KvPlane& plane;
  absl::Span<const std::int32_t> block_table;
  int block_size;
  int head;

  std::byte* Row(int row) const {
    return plane.base + block_table[row / block_size] * plane.block_stride +
           row % block_size * plane.token_stride + head * plane.head_stride;
  }
};

void ReadRows(const HeadRows& source, DType dtype, int rows, int dim, float* out) {
  for (int first = 0; first < rows; first += source.block_size) {
    const int count = std::min(source.block_size, rows - first);
    const std::byte* row = source.Row(first);
    for (int i = 0; i < count; ++i, row += source.plane.token_stride, out += dim) {
      if (dtype == DType::kF32) {
        std::memcpy(out, row, dim * sizeof(float));
      } else {
        BFloat16ToFloats(row, dim, out);
      }
    }
  }
}

void WriteRow(const HeadRows& target, DType dtype, int row, const float* source, int dim) {
  if (dtype == DType::kF32) {
    std::memcpy(target.Row(row), source, dim * sizeof(float));
  } else {
    FloatsToBFloat16(source, dim, target.Row(row));
  }
}

absl::Status CheckOptions(const KvCacheOptions& options) {
  const int size = options.block_size;
  if (size != 16 && size != 32 && size != 64) {
    return absl::InvalidArgumentError(
        absl::StrCat("block size ", size, ": choose 16, 32 or 64 tokens"));
  }
  if (options.shape.dtype != DType::kF32 && options.shape.dtype != DType::kBF16) {
    return absl::InvalidArgumentError("the cache dtype must be bf16 or f32");
  }
  if (options.blocks <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a KV cache of ", options.blocks, " blocks: give it at least one"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<KvCache>> KvCache::Create(const KvCacheOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  const KvShape& shape = options.shape;
  std::unique_ptr<KvCache> cache(new KvCache(options));
  const std::size_t tokens = static_cast<std::size_t>(cache->blocks()) * options.block_size;
  const int views = options.layer_blocks ? 1 : options.layers;
  for (int view_index = 0; view_index < views; ++view_index) {
    std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[tokens * shape.RowBytes()]);
    if (memory == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for a KV cache of ", options.blocks, " blocks (",
                       tokens * shape.RowBytes() * views, " bytes): give it fewer"));
    }
    KvLayerView view;
    view.key = MakePlane(memory.get(), options.block_size, shape.kv_heads,
                         shape.key_dim * DTypeBytes(shape.dtype));
    if (!shape.value_in_key) {
      view.value = MakePlane(memory.get() + tokens * shape.KeyBytes(), options.block_size,
                             shape.kv_heads, shape.value_dim * DTypeBytes(shape.dtype));
    }
    cache->memory_.push_back(std::move(memory));
    cache->views_.push_back(view);
  }
  return cache;
}

std::size_t KvCache::BlockBytes() const {
  return views_.size() * options_.block_size * options_.shape.RowBytes();
}

void KvCache::WriteRows(int layer, absl::Span<const std::int32_t> block_table, int first_row,
                        int rows, absl::Span<const float> keys, absl::Span<const float> values) {
  const KvShape& shape = options_.shape;
  const KvLayerView& view = this->layer(layer);
  const float* key = keys.data();
  const float* value = values.data();
  for (int row = first_row; row < first_row + rows; ++row) {
    for (int head = 0; head < shape.kv_heads; ++head, key += shape.key_dim) {
      WriteRow({view.key, block_table, options_.block_size, head}, shape.dtype, row, key,
               shape.key_dim);
      if (shape.value_in_key) continue;
      WriteRow({view.value, block_table, options_.block_size, head}, shape.dtype, row, value,
               shape.value_dim);
      value += shape.value_dim;
    }
  }
}

void KvCache::ReadKeys(int layer, absl::Span<const std::int32_t> block_table, int rows, int head,
                       float* out) const {
  ReadRows({this->layer(layer).key, block_table, options_.block_size, head}, options_.shape.dtype,
           rows, options_.shape.key_dim, out);
}

void KvCache::ReadValues(int layer, absl::Span<const std::int32_t> block_table, int rows, int head,
                         float* out) const {
  ReadRows({this->layer(layer).value, block_table, options_.block_size, head}, options_.shape.dtype,
           rows, options_.shape.value_dim, out);
}

std::vector<std::byte> KvCache::SaveBlocks(absl::Span<const std::int32_t> blocks) const {
  std::vector<std::byte> saved;
  saved.reserve(blocks.size() * BlockBytes());
  for (const KvLayerView& view : views_) {
    for (const KvPlane& plane : {view.key, view.value}) {
      if (plane.base == nullptr) continue;
      for (const std::int32_t block : blocks) {
        const std::byte* from = plane.base + block * plane.block_stride;
        saved.insert(saved.end(), from, from + plane.block_stride);
      }
    }
  }
  return saved;
}

void KvCache::RestoreBlocks(absl::Span<const std::int32_t> blocks,
                            absl::Span<const std::byte> saved) {
  const std::byte* from = saved.data();
  for (const KvLayerView& view : views_) {
    for (const KvPlane& plane : {view.key, view.value}) {
      if (plane.base == nullptr) continue;
      for (const std::int32_t block : blocks) {
        std::memcpy(plane.base + block * plane.block_stride, from, plane.block_stride);
        from += plane.block_stride;
      }
    }
  }
}

void KvCache::CopyBlocks(absl::Span<const std::int32_t> from, absl::Span<const std::int32_t> to) {
  for (const KvLayerView& view : views_) {
    for (const KvPlane& plane : {view.key, view.value}) {
      if (plane.base == nullptr) continue;
      for (std::size_t i = 0; i < from.size(); ++i) {
        std::memcpy(plane.base + to[i] * plane.block_stride,
                    plane.base + from[i] * plane.block_stride, plane.block_stride);
      }
    }
  }
}

}  // namespace pinboard::engine
