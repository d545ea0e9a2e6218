// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The paged KV cache of one rank: how its memory is laid out, and whole blocks of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
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
/// block table[r / block_size]. Memory: the backend's, reserved at once. Thread-compatible.
class KvCache {
 public:
  virtual ~KvCache() = default;
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  /// Strides of one layer's planes; valid while the cache lives.
  const KvLayerView& layer(int index) const { return views_[options_.layer_blocks ? 0 : index]; }
  const KvShape& shape() const { return options_.shape; }
  int block_size() const { return options_.block_size; }
  int blocks() const { return options_.blocks * (options_.layer_blocks ? options_.layers : 1); }
  /// Bytes of one block, and of one token's rows in all layers.
  std::size_t BlockBytes() const;
  std::size_t TokenBytes() const { return options_.layers * options_.shape.RowBytes(); }

  /// Whole blocks in host memory, and their way back: blocks.size() * BlockBytes() bytes in an
  /// order of the cache's own. Complete on return.
  virtual absl::StatusOr<std::vector<std::byte>> SaveBlocks(
      absl::Span<const std::int32_t> blocks) const = 0;
  virtual absl::Status RestoreBlocks(absl::Span<const std::int32_t> blocks,
                                     absl::Span<const std::byte> saved) = 0;

  /// Copies whole blocks: from[i] -> to[i]; none is in both. In the backend's order.
  virtual absl::Status CopyBlocks(absl::Span<const std::int32_t> from,
                                  absl::Span<const std::int32_t> to) = 0;

 protected:
  explicit KvCache(const KvCacheOptions& options) : options_(options) {}

  /// InvalidArgument: block size or capacity.
  static absl::Status CheckOptions(const KvCacheOptions& options);
  /// Areas of memory that the cache has, each of AreaBytes(): one for each layer, or one for all.
  int areas() const { return options_.layer_blocks ? 1 : options_.layers; }
  std::size_t AreaBytes() const;
  /// The next area lies here: its keys, then its values.
  void AddArea(std::byte* memory);
  const std::vector<KvLayerView>& views() const { return views_; }

 private:
  KvCacheOptions options_;
  std::vector<KvLayerView> views_;  // [areas]
};

}  // namespace pinboard::engine
