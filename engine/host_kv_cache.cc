// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/host_kv_cache.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "engine/float_convert.h"

namespace pinboard::engine {
namespace {

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

}  // namespace

absl::StatusOr<std::unique_ptr<HostKvCache>> HostKvCache::Create(const KvCacheOptions& options) {
  PB_RETURN_IF_ERROR(CheckOptions(options));
  if (options.shape.dtype != DType::kF32 && options.shape.dtype != DType::kBF16) {
    return absl::InvalidArgumentError("the cache dtype must be bf16 or f32");
  }
  std::unique_ptr<HostKvCache> cache(new HostKvCache(options));
  for (int area = 0; area < cache->areas(); ++area) {
    std::unique_ptr<std::byte[]> memory(new (std::nothrow) std::byte[cache->AreaBytes()]);
    if (memory == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for a KV cache of ", options.blocks, " blocks (",
                       cache->AreaBytes() * cache->areas(), " bytes): give it fewer"));
    }
    cache->AddArea(memory.get());
    cache->memory_.push_back(std::move(memory));
  }
  return cache;
}

void HostKvCache::WriteRows(int layer, absl::Span<const std::int32_t> block_table, int first_row,
                            int rows, absl::Span<const float> keys,
                            absl::Span<const float> values) {
  const KvShape& shape = this->shape();
  const KvLayerView& view = this->layer(layer);
  const float* key = keys.data();
  const float* value = values.data();
  for (int row = first_row; row < first_row + rows; ++row) {
    for (int head = 0; head < shape.kv_heads; ++head, key += shape.key_dim) {
      WriteRow({view.key, block_table, block_size(), head}, shape.dtype, row, key, shape.key_dim);
      if (shape.value_in_key) continue;
      WriteRow({view.value, block_table, block_size(), head}, shape.dtype, row, value,
               shape.value_dim);
      value += shape.value_dim;
    }
  }
}

void HostKvCache::ReadKeys(int layer, absl::Span<const std::int32_t> block_table, int rows,
                           int head, float* out) const {
  ReadRows({this->layer(layer).key, block_table, block_size(), head}, shape().dtype, rows,
           shape().key_dim, out);
}

void HostKvCache::ReadValues(int layer, absl::Span<const std::int32_t> block_table, int rows,
                             int head, float* out) const {
  ReadRows({this->layer(layer).value, block_table, block_size(), head}, shape().dtype, rows,
           shape().value_dim, out);
}

absl::StatusOr<std::vector<std::byte>> HostKvCache::SaveBlocks(
    absl::Span<const std::int32_t> blocks) const {
  std::vector<std::byte> saved;
  saved.reserve(blocks.size() * BlockBytes());
  for (const KvLayerView& view : views()) {
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

absl::Status HostKvCache::RestoreBlocks(absl::Span<const std::int32_t> blocks,
                                        absl::Span<const std::byte> saved) {
  const std::byte* from = saved.data();
  for (const KvLayerView& view : views()) {
    for (const KvPlane& plane : {view.key, view.value}) {
      if (plane.base == nullptr) continue;
      for (const std::int32_t block : blocks) {
        std::memcpy(plane.base + block * plane.block_stride, from, plane.block_stride);
        from += plane.block_stride;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status HostKvCache::CopyBlocks(absl::Span<const std::int32_t> from,
                                     absl::Span<const std::int32_t> to) {
  for (const KvLayerView& view : views()) {
    for (const KvPlane& plane : {view.key, view.value}) {
      if (plane.base == nullptr) continue;
      for (std::size_t i = 0; i < from.size(); ++i) {
        std::memcpy(plane.base + to[i] * plane.block_stride,
                    plane.base + from[i] * plane.block_stride, plane.block_stride);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace pinboard::engine
