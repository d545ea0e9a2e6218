// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "engine/cuda/attention_tuning.h"
#include "engine/cuda/device_batch.cuh"

namespace pinboard::engine {
namespace {

constexpr std::size_t kAlignment = 16;

/// Arrays one after another in pinned memory, at the same offsets as on the device.
class Packer {
 public:
  Packer(std::byte* host, std::byte* device) : host_(host), device_(device) {}

  /// The device's address of `values`, once the whole has been copied.
  template <typename T>
  const T* Add(absl::Span<const T> values) {
    std::memcpy(host_ + used_, values.data(), values.size() * sizeof(T));
    const auto* at = reinterpret_cast<const T*>(device_ + used_);
    used_ += Padded(values.size() * sizeof(T));
    return at;
  }
  std::size_t used() const { return used_; }

  static std::size_t Padded(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

 private:
  std::byte* host_;
  std::byte* device_;
  std::size_t used_ = 0;
};

std::vector<std::int32_t> EntriesOfTokens(const StepBatch& batch) {
  std::vector<std::int32_t> entries;
  entries.reserve(batch.size());
  for (std::size_t i = 0; i < batch.entries.size(); ++i) {
    entries.insert(entries.end(), batch.entries[i].tokens, static_cast<std::int32_t>(i));
  }
  return entries;
}

std::int32_t MostRows(const BatchEntry& entry) {
  std::int32_t rows = 0;
  for (const BatchTable& table : entry.tables) rows = std::max(rows, table.resident_rows);
  return RoundUpRows(rows + entry.tokens);
}

}  // namespace

absl::StatusOr<DeviceBatch> DeviceBatch::Create(int heads_per_kv, int small_rows, int large_rows) {
  PB_ASSIGN_OR_RETURN(cuda::Event copied, cuda::Event::Create());
  return DeviceBatch(heads_per_kv, small_rows, large_rows, std::move(copied));
}

void DeviceBatch::MakeTiles(const StepBatch& batch) {
  small_host_.clear();
  large_host_.clear();
  small_ = large_ = {};
  for (std::size_t i = 0; i < batch.entries.size(); ++i) {
    const int rows = batch.entries[i].tokens * heads_per_kv_;
    const bool small = rows <= small_rows_;
    TileList& list = small ? small_ : large_;
    list.most_rows = std::max(list.most_rows, MostRows(batch.entries[i]));
    if (small) {
      small_host_.push_back({static_cast<std::int32_t>(i), 0});
      continue;
    }
    const int last = (rows - 1) / large_rows_ * large_rows_;
    for (int first = last; first >= 0; first -= large_rows_) {
      large_host_.push_back({static_cast<std::int32_t>(i), first});
    }
  }
  small_.count = static_cast<std::int32_t>(small_host_.size());
  large_.count = static_cast<std::int32_t>(large_host_.size());
}

absl::Status DeviceBatch::Upload(const StepBatch& batch, cudaStream_t stream) {
  MakeTiles(batch);
  size_ = batch.size();
  entry_count_ = static_cast<int>(batch.entries.size());
  layers_ = static_cast<int>(batch.entries.front().tables.size());
  const std::vector<std::int32_t> entry_of_token = EntriesOfTokens(batch);
  std::vector<std::int32_t> blocks;
  std::vector<LayerEntry> entries;
  std::vector<std::size_t> first_blocks;
  for (int layer = 0; layer < layers_; ++layer) {
    for (const BatchEntry& entry : batch.entries) {
      const BatchTable& table = entry.tables[layer];
      first_blocks.push_back(blocks.size());
      blocks.insert(blocks.end(), table.blocks.begin(), table.blocks.end());
      entries.push_back({nullptr, entry.first_token, entry.tokens, table.resident_rows});
    }
  }

  // Last what grows with the sequences: the rest stays where it is from step to step of one shape.
  const std::size_t blocks_at = 3 * Packer::Padded(size_ * sizeof(std::int32_t)) +
                                Packer::Padded(entries.size() * sizeof(LayerEntry)) +
                                Packer::Padded(small_host_.size() * sizeof(AttentionTile)) +
                                Packer::Padded(large_host_.size() * sizeof(AttentionTile));
  const std::size_t bytes = blocks_at + Packer::Padded(blocks.size() * sizeof(std::int32_t));
  PB_RETURN_IF_ERROR(copied_.Wait());
  if (bytes > pinned_.bytes().size()) {
    PB_ASSIGN_OR_RETURN(pinned_, cuda::PinnedBuffer::Make(2 * bytes));
  }
  PB_ASSIGN_OR_RETURN(std::byte * device, device_.Reserve(pinned_.bytes().size()));
  Packer packer(pinned_.bytes().data(), device);
  tokens_ = packer.Add(absl::MakeConstSpan(batch.tokens));
  positions_ = packer.Add(absl::MakeConstSpan(batch.positions));
  entry_of_token_ = packer.Add(absl::MakeConstSpan(entry_of_token));
  const auto* const all_blocks = reinterpret_cast<const std::int32_t*>(device + blocks_at);
  for (std::size_t i = 0; i < entries.size(); ++i) entries[i].blocks = all_blocks + first_blocks[i];
  entries_ = packer.Add(absl::MakeConstSpan(entries));
  small_.tiles = packer.Add(absl::MakeConstSpan(small_host_));
  large_.tiles = packer.Add(absl::MakeConstSpan(large_host_));
  packer.Add(absl::MakeConstSpan(blocks));
  PB_RETURN_IF_ERROR(cuda::ToStatus(cudaMemcpyAsync(device, pinned_.bytes().data(), packer.used(),
                                                    cudaMemcpyHostToDevice, stream),
                                    "copy a step to the device"));
  return copied_.Record(stream);
}

}  // namespace pinboard::engine
