// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The KV cache in host memory: rows in and rows out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/kv_cache.h"

namespace pinboard::engine {

/// Of bf16 or float rows. Memory is touched as it is used.
class HostKvCache final : public KvCache {
 public:
  /// InvalidArgument: block size, dtype or capacity. ResourceExhausted: the memory cannot be had.
  static absl::StatusOr<std::unique_ptr<HostKvCache>> Create(const KvCacheOptions& options);

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

  absl::StatusOr<std::vector<std::byte>> SaveBlocks(
      absl::Span<const std::int32_t> blocks) const override;
  absl::Status RestoreBlocks(absl::Span<const std::int32_t> blocks,
                             absl::Span<const std::byte> saved) override;
  absl::Status CopyBlocks(absl::Span<const std::int32_t> from,
                          absl::Span<const std::int32_t> to) override;

 private:
  using KvCache::KvCache;

  std::vector<std::unique_ptr<std::byte[]>> memory_;  // [areas]
};

}  // namespace pinboard::engine
