// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The MLP of a layer (engine/mlp_block.h), on the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/status.h"
#include "engine/cuda/device_weights.cuh"
#include "engine/cuda/product.cuh"
#include "engine/cuda/scratch.cuh"

namespace pinboard::engine {

/// Of this rank's columns: a partial sum. Keeps scratch between calls; stream-ordered;
/// thread-compatible. Device memory, bf16 values as their bits.
class DeviceMlpBlock {
 public:
  /// `products` outlives this, and its stream is `stream`.
  DeviceMlpBlock(Products* products, cudaStream_t stream) : products_(products), stream_(stream) {}

  /// normed [tokens, hidden], the same on every rank, to this rank's part of the sum: `out`
  /// [tokens, hidden], or added to it.
  absl::Status Run(const DeviceLayerWeights& weights, int tokens, const std::uint16_t* normed,
                   bool accumulate, float* out);

 private:
  Products* products_;
  cudaStream_t stream_;
  Scratch<float> gate_, up_;  // [tokens, columns]
  Scratch<std::uint16_t> activated_;
};

}  // namespace pinboard::engine
