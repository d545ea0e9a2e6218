// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The MLP of a layer, dense or a mixture of experts (engine/mlp_block.h), on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cuda/device_buffer.h"
#include "engine/cuda/device_weights.cuh"
#include "engine/cuda/expert_product.cuh"
#include "engine/cuda/product.cuh"
#include "engine/cuda/scratch.cuh"
#include "engine/moe_config.h"

namespace pinboard::engine {

/// Of this rank's columns: a partial sum. Which experts a token is given to is decided and used on
/// the device alone. Keeps scratch between calls, with experts that of one float a slot and hidden
/// value; stream-ordered; thread-compatible. Device memory, bf16 values as their bits.
class DeviceMlpBlock {
 public:
  /// `products`, whose stream is `stream`, and the weights outlive this. Unimplemented: what
  /// CheckExperts names.
  static absl::StatusOr<DeviceMlpBlock> Create(const MoeConfig& config,
                                               const std::vector<DeviceLayerWeights>& layers,
                                               Products* products, cudaStream_t stream);

  /// normed [tokens, hidden], the same on every rank, to this rank's part of the sum: `out`
  /// [tokens, hidden], or added to it. `weights` are those of `layer` at Create.
  absl::Status Run(int layer, const DeviceLayerWeights& weights, int tokens,
                   const std::uint16_t* normed, bool accumulate, float* out);

 private:
  DeviceMlpBlock(const MoeConfig& config, Products* products, cudaStream_t stream)
      : config_(config), products_(products), stream_(stream) {}

  absl::Status RunDense(const DeviceMlpWeights& weights, int tokens, const std::uint16_t* normed,
                        bool accumulate, float* out);
  absl::Status RunExperts(int layer, const DeviceLayerWeights& weights, int tokens,
                          const std::uint16_t* normed, bool accumulate, float* out);
  /// The experts of each token, and their rows.
  absl::StatusOr<ExpertGroups> Route(const DeviceLayerWeights& weights, int tokens,
                                     const std::uint16_t* normed);

  MoeConfig config_;
  Products* products_;
  cudaStream_t stream_;
  std::vector<cuda::DeviceBuffer<ExpertMatrices>> matrices_;  // [layers][experts]
  Scratch<float> gate_, up_;                                  // [tokens, columns]
  Scratch<std::uint16_t> activated_;                          // [tokens or slots, columns]
  Scratch<std::int32_t> expert_of_slot_, slot_of_row_;        // [slots]
  Scratch<float> weight_of_slot_;                             // [slots]
  Scratch<ExpertTile> tiles_;
  Scratch<float> made_;  // [slots, hidden]
};

}  // namespace pinboard::engine
