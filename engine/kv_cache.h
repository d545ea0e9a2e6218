// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The paged KV cache of one rank: memory, rows in and rows out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "pinboard/kv_layout.h"

namespace pinboard::engine {

struct KvCacheOptions {
  KvShape shape;  // kBF16 or kF32
  int layers = 0;
  int block_size = 16;  // tokens: 16, 32 or 64
  int blocks = 0;       // of every layer's rows
  /// Blocks of one layer's rows instead: `layers` times as many, each good for any layer.
  bool layer_blocks = false;
};

/// Rows of [keys of all local heads] and [values of all local heads] per layer, in blocks; MLA rows
/// hold [latent | rotary] once. Physical row r of a block table lies in slot r % block_size of
/// block table[r / block_size]. Host memory, reserved at once, touched as it is used.
/// Thread-compatible.
class KvCache {
 public:
  /// InvalidArgument: block size, dtype or capacity. ResourceExhausted: the memory cannot be had.
  static absl::StatusOr<std::unique_ptr<KvCache>> Create(const KvCacheOptions& options);

  /// Strides of one layer's planes; valid while the cache lives.
  const KvLayerView& layer(int index) const { return views_[options_.layer_blocks ? 0 : index]; }
  const KvShape& shape() const { return options_.shape; }
  int block_size() const { return options_.block_size; }
  int blocks() const { return options_.blocks * (options_.layer_blocks ? options_.layers : 1); }
  /// Bytes of one block, and of one token's rows in all layers.
  std::size_t BlockBytes() const;
  std::size_t TokenBytes() const { return options_.layers * options_.shape.RowBytes(); }

  /// Rounds keys [rows, kv_heads, key_dim] and values [rows, kv_heads, value_dim] (empty for MLA)
  /// into physical rows first_row ... of a table.
  void WriteRows(int layer, absl::Span<const std::int32_t> block_table, int first_row, int rows,
                 absl::Span<const float> keys, absl::Span<const float> values);

  /// Keys of one head of physical rows [0, rows) as float [rows, key_dim].
  void ReadKeys(int layer, absl::Span<const std::int32_t> block_table, int rows, int head,
                float* out) const;
  /// Values likewise [rows, value_dim]. Requires !shape().value_in_key.
  void ReadValues(int layer, absl::Span<const std::int32_t> block_table, int rows, int head,
                  float* out) const;

  /// Whole blocks, and their way back: blocks.size() * BlockBytes() bytes in an
  /// order of the cache's own.
  std::vector<std::byte> SaveBlocks(absl::Span<const std::int32_t> blocks) const;
  void RestoreBlocks(absl::Span<const std::int32_t> blocks, absl::Span<const std::byte> saved);

  /// Copies whole blocks: from[i] -> to[i].
  void CopyBlocks(absl::Span<const std::int32_t> from, absl::Span<const std::int32_t> to);

 private:
  explicit KvCache(const KvCacheOptions& options) : options_(options) {}

  KvCacheOptions options_;
  // [layers], or [1] of layer blocks: key plane, then value plane.
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  std::vector<KvLayerView> views_;
};

}  // namespace pinboard::engine
