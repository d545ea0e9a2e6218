// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/status_macros.h"
#include "engine/cuda/device_linear.cuh"
#include "engine/cuda/device_mlp_block.cuh"
#include "engine/cuda/elementwise.cuh"

namespace pinboard::engine {

absl::Status DeviceMlpBlock::Run(const DeviceLayerWeights& weights, int tokens,
                                 const std::uint16_t* normed, bool accumulate, float* out) {
  const DeviceMlpWeights& mlp = weights.mlp;
  const std::size_t values = static_cast<std::size_t>(tokens) * mlp.gate.out;
  PB_ASSIGN_OR_RETURN(float* const gate, gate_.Reserve(values));
  PB_ASSIGN_OR_RETURN(float* const up, up_.Reserve(values));
  PB_ASSIGN_OR_RETURN(std::uint16_t* const activated, activated_.Reserve(values));
  PB_RETURN_IF_ERROR(Apply(products_, mlp.gate, tokens, normed, gate));
  PB_RETURN_IF_ERROR(Apply(products_, mlp.up, tokens, normed, up));
  PB_RETURN_IF_ERROR(
      LaunchSiluTimes(gate, up, static_cast<std::int64_t>(values), activated, stream_));
  return Apply(products_, mlp.down, tokens, activated, out, accumulate);
}

}  // namespace pinboard::engine
