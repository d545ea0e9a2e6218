// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The new tokens of a step as kernels see them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/cuda/pinned_buffer.h"
#include "base/cuda/stream.h"
#include "engine/cuda/scratch.cuh"
#include "engine/step_batch.h"

namespace pinboard::engine {

/// One sequence's part of a step in one layer (step_batch.h): its token i goes to physical row
/// resident_rows + i and sees the rows [0, resident_rows + i].
struct LayerEntry {
  const std::int32_t* blocks;
  std::int32_t first_token;  // in the step
  std::int32_t tokens;
  std::int32_t resident_rows;
};

/// A step in one layer. Device memory.
struct LayerBatch {
  const LayerEntry* entries;
  const std::int32_t* entry_of_token;  // [tokens]
  std::int32_t tokens;
};

/// Some query rows of one entry that a block attends with: of its tokens' query heads over one KV
/// head, counted token by token, those from first_row on.
struct AttentionTile {
  std::int32_t entry;
  std::int32_t first_row;
};

/// Tiles of one size, and the most rows that any of them sees in any layer (RoundUpRows).
struct TileList {
  const AttentionTile* tiles = nullptr;  // device memory
  std::int32_t count = 0;
  std::int32_t most_rows = 0;
};

/// The step's arrays in device memory, in one copy from pinned memory. Thread-compatible.
class DeviceBatch {
 public:
  /// `heads_per_kv`: query heads that read one KV head. Entries of at most small_rows query rows
  /// get a tile of that size, others tiles of large_rows, the longest first.
  static absl::StatusOr<DeviceBatch> Create(int heads_per_kv, int small_rows, int large_rows);

  /// Stream-ordered; waits for the copy of the step before.
  absl::Status Upload(const StepBatch& batch, cudaStream_t stream);

  const std::int32_t* tokens() const { return tokens_; }
  const std::int32_t* positions() const { return positions_; }
  /// Block tables of each sequence.
  int tables() const { return layers_; }
  LayerBatch layer(int index) const {
    return {entries_ + std::ptrdiff_t{layers_ == 1 ? 0 : index} * entry_count_, entry_of_token_,
            size_};
  }
  const TileList& small_tiles() const { return small_; }
  const TileList& large_tiles() const { return large_; }

 private:
  DeviceBatch(int heads_per_kv, int small_rows, int large_rows, cuda::Event copied)
      : heads_per_kv_(heads_per_kv),
        small_rows_(small_rows),
        large_rows_(large_rows),
        copied_(std::move(copied)) {}

  void MakeTiles(const StepBatch& batch);

  int heads_per_kv_;
  int small_rows_;
  int large_rows_;
  cuda::Event copied_;
  cuda::PinnedBuffer pinned_;
  Scratch<std::byte> device_;
  std::vector<AttentionTile> small_host_, large_host_;

  const std::int32_t* tokens_ = nullptr;
  const std::int32_t* positions_ = nullptr;
  const std::int32_t* entry_of_token_ = nullptr;
  const LayerEntry* entries_ = nullptr;
  TileList small_, large_;
  std::int32_t size_ = 0;
  int entry_count_ = 0;
  int layers_ = 1;  // block tables of a sequence
};

}  // namespace pinboard::engine
