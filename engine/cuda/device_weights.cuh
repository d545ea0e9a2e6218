// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One rank's weights in device memory: matrices in bf16, vectors in float.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "base/cuda/device_buffer.h"
#include "engine/weights.h"

namespace pinboard::engine {

struct DeviceStorage {
  using Matrix = cuda::DeviceBuffer<std::uint16_t>;
  using Vector = cuda::DeviceBuffer<float>;
};

using DeviceLinear = BasicLinear<DeviceStorage>;
using DeviceLatentWeights = BasicLatentAttentionWeights<DeviceStorage>;
using DeviceMlpWeights = BasicMlpWeights<DeviceStorage>;
using DeviceLayerWeights = BasicLayerWeights<DeviceStorage>;
using DeviceWeights = BasicModelWeights<DeviceStorage>;

/// Reads this rank's part, through pinned memory; complete on return. Errors are Checkpoint::Read's
/// and ResourceExhausted.
absl::StatusOr<DeviceWeights> LoadDeviceWeights(const Checkpoint& checkpoint,
                                                const ModelConfig& config, const RankPlan& plan,
                                                cudaStream_t stream);
/// Draws it on the device (engine/random_weights.h).
absl::StatusOr<DeviceWeights> DrawDeviceWeights(std::uint64_t seed, const ModelConfig& config,
                                                const RankPlan& plan, cudaStream_t stream);

}  // namespace pinboard::engine
