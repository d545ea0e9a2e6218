// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// MHA, GQA and MQA: Llama, Qwen2.
#include "base/status_macros.h"
#include "engine/cuda/device_attention_block.cuh"
#include "engine/cuda/device_linear.cuh"
#include "engine/cuda/scratch.cuh"

namespace pinboard::engine {
namespace {

class DeviceGroupedAttention final : public DeviceAttentionBlock {
 public:
  DeviceGroupedAttention(const RankPlan& plan, Products* products, cudaStream_t stream)
      : heads_(plan.heads), products_(products), stream_(stream) {}

  absl::Status Project(const DeviceLayerWeights& weights, const CacheTarget& target,
                       const RotationTable& rotation, const std::uint16_t* normed,
                       float* queries) override {
    const auto& grouped = weights.grouped;
    const int tokens = target.batch.tokens;
    const std::size_t values = static_cast<std::size_t>(tokens) * grouped.key.out;
    PB_RETURN_IF_ERROR(ProjectQueries(weights, tokens, rotation, normed, queries));
    PB_ASSIGN_OR_RETURN(float* const keys, keys_.Reserve(values));
    PB_ASSIGN_OR_RETURN(float* const cached_values, values_.Reserve(values));
    PB_RETURN_IF_ERROR(Apply(products_, grouped.key, tokens, normed, keys));
    PB_RETURN_IF_ERROR(Apply(products_, grouped.value, tokens, normed, cached_values));
    return LaunchWriteGroupedRows(target, rotation,
                                  {.keys = keys,
                                   .values = cached_values,
                                   .key_bias = grouped.key.bias.data(),
                                   .value_bias = grouped.value.bias.data()},
                                  stream_);
  }

  absl::Status ProjectQueries(const DeviceLayerWeights& weights, int tokens,
                              const RotationTable& rotation, const std::uint16_t* normed,
                              float* queries) override {
    const DeviceLinear& query = weights.grouped.query;
    PB_RETURN_IF_ERROR(Apply(products_, query, tokens, normed, queries));
    return LaunchRotate(rotation, query.bias.data(), tokens, heads_, queries, stream_);
  }

  absl::Status Combine(const DeviceLayerWeights& weights, int tokens, const std::uint16_t* context,
                       bool accumulate, float* out) override {
    return Apply(products_, weights.grouped.output, tokens, context, out, accumulate);
  }

 private:
  int heads_;
  Products* products_;
  cudaStream_t stream_;
  Scratch<float> keys_, values_;  // [tokens, kv_heads, dim]
};

}  // namespace

std::unique_ptr<DeviceAttentionBlock> MakeDeviceGroupedAttention(const RankPlan& plan,
                                                                 Products* products,
                                                                 cudaStream_t stream) {
  return std::make_unique<DeviceGroupedAttention>(plan, products, stream);
}

}  // namespace pinboard::engine
