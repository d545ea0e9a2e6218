// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The products around attention (engine/attention_block.h), on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "engine/cuda/device_weights.cuh"
#include "engine/cuda/product.cuh"
#include "engine/cuda/rotation.cuh"

namespace pinboard::engine {

/// The projections of one family. Implementations keep scratch between calls; stream-ordered;
/// thread-compatible. All pointers: device memory, bf16 values as their bits.
class DeviceAttentionBlock {
 public:
  virtual ~DeviceAttentionBlock() = default;

  /// From normed [tokens, hidden]: writes the step's rows into the cache and its rotated queries
  /// [tokens, heads, key_dim]; MLA's are absorbed.
  virtual absl::Status Project(const DeviceLayerWeights& weights, const CacheTarget& target,
                               const RotationTable& rotation, const std::uint16_t* normed,
                               float* queries) = 0;

  /// The queries alone.
  virtual absl::Status ProjectQueries(const DeviceLayerWeights& weights, int tokens,
                                      const RotationTable& rotation, const std::uint16_t* normed,
                                      float* queries) = 0;

  /// From context [tokens, heads, value_dim]: this rank's part of the sum, to `out` [tokens,
  /// hidden] or added to it.
  virtual absl::Status Combine(const DeviceLayerWeights& weights, int tokens,
                               const std::uint16_t* context, bool accumulate, float* out) = 0;
};

/// `products` outlives the block, and its stream is the block's.
std::unique_ptr<DeviceAttentionBlock> MakeDeviceGroupedAttention(const RankPlan& plan,
                                                                 Products* products,
                                                                 cudaStream_t stream);
std::unique_ptr<DeviceAttentionBlock> MakeDeviceLatentAttention(const ModelConfig& config,
                                                                const RankPlan& plan,
                                                                Products* products,
                                                                cudaStream_t stream);

}  // namespace pinboard::engine
