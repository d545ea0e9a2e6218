// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A step over a random cache of one layer, in host memory and the same in device memory.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "base/cuda/stream.h"
#include "base/dtype.h"
#include "engine/cuda/attention_tuning.h"
#include "engine/cuda/device_batch.cuh"
#include "engine/host_kv_cache.h"
#include "tests/kernels/on_device.cuh"
#include "tests/support/seeded_random.h"

namespace pinboard::engine::testing {

/// Normal values that bf16 holds.
inline std::vector<float> BFloat16Normals(std::size_t count, SeededRandom& random) {
  std::vector<float> values = random.Normals(count);
  for (float& value : values) value = BFloat16ToFloat(FloatToBFloat16(value));
  return values;
}

inline std::vector<float> ToFloats(const std::vector<std::uint16_t>& bits) {
  std::vector<float> values(bits.size());
  std::transform(bits.begin(), bits.end(), values.begin(), BFloat16ToFloat);
  return values;
}

/// The largest of |a - b| / |b| over rows of `width` values.
inline double WorstRow(const std::vector<float>& a, const std::vector<float>& b,
                       std::size_t width) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (std::size_t first = 0; first < b.size(); first += width) {
    double gap = 0, norm = 0;
    for (std::size_t i = first; i < first + width; ++i) {
      gap += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
      norm += static_cast<double>(b[i]) * b[i];
    }
    const double relative = std::sqrt(gap / norm);
    if (!(relative <= worst)) worst = relative;  // a NaN too
  }
  return worst;
}

struct SequenceRows {
  int resident = 0;
  int tokens = 0;
};

class DeviceStep {
 public:
  /// Every row of every sequence, the new ones too, holds random values; blocks are in random
  /// order.
  DeviceStep(const KvShape& shape, int block_size, int heads_per_kv,
             const std::vector<SequenceRows>& sequences, SeededRandom& random)
      : stream_(*cuda::Stream::Create()),
        on_device_(*DeviceBatch::Create(heads_per_kv, kSmallTileRows, kLargeTileRows)) {
    int blocks = 0;
    for (const SequenceRows& rows : sequences) {
      blocks += (rows.resident + rows.tokens + block_size - 1) / block_size;
    }
    cache_ = *HostKvCache::Create(
        {.shape = shape, .layers = 1, .block_size = block_size, .blocks = blocks});
    std::vector<std::int32_t> free(blocks);
    std::iota(free.begin(), free.end(), 0);
    std::shuffle(free.begin(), free.end(), random.engine());
    tables_.reserve(sequences.size());
    for (const SequenceRows& rows : sequences) AddSequence(rows, &free, random);
    CopyToDevice();
  }

  const StepBatch& batch() const { return batch_; }
  HostKvCache& cache() { return *cache_; }
  const KvLayerView& device_view() const { return view_; }
  const DeviceBatch& on_device() const { return on_device_; }
  cudaStream_t stream() const { return stream_.get(); }
  kernels::OnDevice& memory() { return memory_; }

  /// The bytes of all blocks, as HostKvCache::SaveBlocks gives those of the cache.
  std::vector<std::byte> DeviceBytes() {
    std::vector<std::byte> bytes(AllBytes().size());
    memory_.Read(view_.key.base, absl::MakeSpan(bytes));
    return bytes;
  }
  std::vector<std::byte> AllBytes() const {
    std::vector<std::int32_t> all(cache_->blocks());
    std::iota(all.begin(), all.end(), 0);
    return *cache_->SaveBlocks(all);
  }

 private:
  void AddSequence(const SequenceRows& rows, std::vector<std::int32_t>* free,
                   SeededRandom& random) {
    const KvShape& shape = cache_->shape();
    const int all = rows.resident + rows.tokens;
    std::vector<std::int32_t> table;
    while (static_cast<int>(table.size()) * cache_->block_size() < all) {
      table.push_back(free->back());
      free->pop_back();
    }
    const std::size_t count = static_cast<std::size_t>(all) * shape.kv_heads;
    const std::vector<float> keys = random.Normals(count * shape.key_dim);
    const std::vector<float> values =
        shape.value_in_key ? std::vector<float>() : random.Normals(count * shape.value_dim);
    cache_->WriteRows(0, table, 0, all, keys, values);
    tables_.push_back(std::move(table));
    batch_.entries.push_back({.first_token = batch_.size(),
                              .tokens = rows.tokens,
                              .tables = {{rows.resident, tables_.back()}}});
    for (int i = 0; i < rows.tokens; ++i) {
      batch_.tokens.push_back(random.Int(0, 95));
      batch_.positions.push_back(rows.resident + i);
    }
  }

  void CopyToDevice() {
    const std::vector<std::byte> bytes = AllBytes();
    view_ = cache_->layer(0);
    std::byte* const host = view_.key.base;
    view_.key.base = memory_.In(bytes);
    if (view_.value.base != nullptr) view_.value.base = view_.key.base + (view_.value.base - host);
    EXPECT_TRUE(on_device_.Upload(batch_, stream_.get()).ok());
    EXPECT_TRUE(stream_.Wait().ok());
  }

  cuda::Stream stream_;
  DeviceBatch on_device_;
  kernels::OnDevice memory_;
  std::unique_ptr<HostKvCache> cache_;
  std::vector<std::vector<std::int32_t>> tables_;
  StepBatch batch_;
  KvLayerView view_;
};

}  // namespace pinboard::engine::testing
