// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/device_mlp_block.cuh"
#include "base/cuda/cuda_status.h"
#include "base/status_macros.h"
#include "engine/cuda/device_linear.cuh"
#include "engine/cuda/elementwise.cuh"

namespace pinboard::engine {

absl::StatusOr<DeviceMlpBlock> DeviceMlpBlock::Create(const MoeConfig& config,
                                                      const std::vector<DeviceLayerWeights>& layers,
                                                      Products* products, cudaStream_t stream) {
  DeviceMlpBlock block(config, products, stream);
  for (const DeviceLayerWeights& layer : layers) {
    std::vector<ExpertMatrices> matrices;
    for (const DeviceMlpWeights& expert : layer.experts.routed) {
      PB_RETURN_IF_ERROR(CheckExperts(config, expert.gate.in));
      matrices.push_back(
          {expert.gate.weight.data(), expert.up.weight.data(), expert.down.weight.data()});
    }
    cuda::DeviceBuffer<ExpertMatrices> on_device;
    if (!matrices.empty()) {
      PB_ASSIGN_OR_RETURN(on_device, cuda::DeviceBuffer<ExpertMatrices>::Make(matrices.size()));
      PB_RETURN_IF_ERROR(on_device.CopyFrom(matrices, stream));
      PB_RETURN_IF_ERROR(cuda::ToStatus(cudaStreamSynchronize(stream), "wait for the experts"));
    }
    block.matrices_.push_back(std::move(on_device));
  }
  return block;
}

absl::Status DeviceMlpBlock::Run(int layer, const DeviceLayerWeights& weights, int tokens,
                                 const std::uint16_t* normed, bool accumulate, float* out) {
  const bool has_dense = weights.mlp.gate.out > 0;
  if (has_dense) PB_RETURN_IF_ERROR(RunDense(weights.mlp, tokens, normed, accumulate, out));
  if (weights.experts.routed.empty()) return absl::OkStatus();
  return RunExperts(layer, weights, tokens, normed, accumulate || has_dense, out);
}

absl::Status DeviceMlpBlock::RunDense(const DeviceMlpWeights& weights, int tokens,
                                      const std::uint16_t* normed, bool accumulate, float* out) {
  const std::size_t values = static_cast<std::size_t>(tokens) * weights.gate.out;
  PB_ASSIGN_OR_RETURN(float* const gate, gate_.Reserve(values));
  PB_ASSIGN_OR_RETURN(float* const up, up_.Reserve(values));
  PB_ASSIGN_OR_RETURN(std::uint16_t* const activated, activated_.Reserve(values));
  PB_RETURN_IF_ERROR(Apply(products_, weights.gate, tokens, normed, gate));
  PB_RETURN_IF_ERROR(Apply(products_, weights.up, tokens, normed, up));
  PB_RETURN_IF_ERROR(
      LaunchSiluTimes(gate, up, static_cast<std::int64_t>(values), activated, stream_));
  return Apply(products_, weights.down, tokens, activated, out, accumulate);
}

absl::StatusOr<ExpertGroups> DeviceMlpBlock::Route(const DeviceLayerWeights& weights, int tokens,
                                                   const std::uint16_t* normed) {
  const DeviceLinear& gate = weights.experts.gate;
  const int slots = tokens * config_.experts_per_token;
  const int tile_rows = ExpertTileRows(slots, config_.routed_experts);
  ExpertSlots chosen;
  ExpertGroups groups;
  PB_ASSIGN_OR_RETURN(chosen.experts, expert_of_slot_.Reserve(slots));
  PB_ASSIGN_OR_RETURN(chosen.weights, weight_of_slot_.Reserve(slots));
  PB_ASSIGN_OR_RETURN(groups.slot_of_row, slot_of_row_.Reserve(slots));
  PB_ASSIGN_OR_RETURN(groups.tiles,
                      tiles_.Reserve(MostExpertTiles(slots, config_.routed_experts, tile_rows)));
  PB_RETURN_IF_ERROR(LaunchRouteExperts(config_, gate.weight.data(),
                                        weights.experts.gate_bias.data(), normed, tokens, gate.in,
                                        chosen, stream_));
  PB_RETURN_IF_ERROR(LaunchGroupByExpert(chosen.experts, slots, config_.routed_experts, tile_rows,
                                         groups, stream_));
  return groups;
}

absl::Status DeviceMlpBlock::RunExperts(int layer, const DeviceLayerWeights& weights, int tokens,
                                        const std::uint16_t* normed, bool accumulate, float* out) {
  const DeviceLinear& gate = weights.experts.routed.front().gate;
  PB_ASSIGN_OR_RETURN(const ExpertGroups groups, Route(weights, tokens, normed));
  const ExpertStep step{.experts = matrices_[layer].data(),
                        .expert_count = config_.routed_experts,
                        .experts_per_token = config_.experts_per_token,
                        .hidden = gate.in,
                        .columns = gate.out,
                        .slots = tokens * config_.experts_per_token,
                        .groups = groups};
  const auto slots = static_cast<std::size_t>(step.slots);
  PB_ASSIGN_OR_RETURN(std::uint16_t* const activated, activated_.Reserve(slots * step.columns));
  PB_ASSIGN_OR_RETURN(float* const made, made_.Reserve(slots * step.hidden));
  PB_RETURN_IF_ERROR(LaunchActivateExperts(step, normed, activated, stream_));
  PB_RETURN_IF_ERROR(LaunchDownExperts(step, activated, made, stream_));
  return LaunchSumExperts(made, weight_of_slot_.data(), tokens, config_.experts_per_token,
                          step.hidden, accumulate, out, stream_);
}

}  // namespace pinboard::engine
