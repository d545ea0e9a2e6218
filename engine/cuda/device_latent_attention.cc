// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// MLA, absorbed (engine/latent_attention.cc): DeepSeek-V3.
#include "base/status_macros.h"
#include "engine/cuda/device_attention_block.cuh"
#include "engine/cuda/device_linear.cuh"
#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/scratch.cuh"

namespace pinboard::engine {
namespace {

constexpr float kLatentNormEps = 1e-6F;  // whatever config.json says, as in transformers

class DeviceLatentAttention final : public DeviceAttentionBlock {
 public:
  DeviceLatentAttention(const ModelConfig& config, const RankPlan& plan, Products* products,
                        cudaStream_t stream)
      : heads_(plan.heads), mla_(config.mla), products_(products), stream_(stream) {}

  absl::Status Project(const DeviceLayerWeights& weights, const CacheTarget& target,
                       const RotationTable& rotation, const std::uint16_t* normed,
                       float* queries) override {
    const int tokens = target.batch.tokens;
    PB_RETURN_IF_ERROR(ProjectQueries(weights, tokens, rotation, normed, queries));
    PB_ASSIGN_OR_RETURN(float* const latents, latents_.Reserve(Values(tokens, key_dim())));
    PB_RETURN_IF_ERROR(Apply(products_, weights.latent.latent, tokens, normed, latents));
    return LaunchWriteLatentRows(target, rotation, latents, weights.latent.latent_norm.data(),
                                 kLatentNormEps, stream_);
  }

  absl::Status ProjectQueries(const DeviceLayerWeights& weights, int tokens,
                              const RotationTable& rotation, const std::uint16_t* normed,
                              float* queries) override {
    const DeviceLatentWeights& latent = weights.latent;
    const int nope = mla_.qk_nope_head_dim, rank = mla_.kv_lora_rank;
    PB_ASSIGN_OR_RETURN(float* const expanded, queries_.Reserve(Values(tokens, latent.query.out)));
    PB_RETURN_IF_ERROR(Expand(latent, tokens, normed, expanded));
    PB_ASSIGN_OR_RETURN(std::uint16_t* const unrotated,
                        unrotated_.Reserve(Values(tokens, heads_ * nope)));
    PB_RETURN_IF_ERROR(LaunchPartLatentQueries(rotation,
                                               {.queries = expanded,
                                                .unrotated = unrotated,
                                                .absorbed = queries,
                                                .heads = heads_,
                                                .nope = nope,
                                                .latent = rank},
                                               tokens, stream_));
    return products_->Multiply({.rows = tokens,
                                .columns = rank,
                                .inner = nope,
                                .transposed = false,
                                .in_stride = heads_ * nope,
                                .weight_stride = rank,
                                .out_stride = heads_ * key_dim(),
                                .batch = heads_,
                                .in_batch_stride = nope,
                                .weight_batch_stride = std::int64_t{nope} * rank,
                                .out_batch_stride = key_dim()},
                               unrotated, latent.key_up.data(), queries);
  }

  absl::Status Combine(const DeviceLayerWeights& weights, int tokens, const std::uint16_t* context,
                       bool accumulate, float* out) override {
    const int rank = mla_.kv_lora_rank, dim = mla_.v_head_dim;
    PB_ASSIGN_OR_RETURN(std::uint16_t* const values, values_.Reserve(Values(tokens, heads_ * dim)));
    PB_RETURN_IF_ERROR(products_->Multiply({.rows = tokens,
                                            .columns = dim,
                                            .inner = rank,
                                            .in_stride = heads_ * rank,
                                            .weight_stride = rank,
                                            .out_stride = heads_ * dim,
                                            .batch = heads_,
                                            .in_batch_stride = rank,
                                            .weight_batch_stride = std::int64_t{dim} * rank,
                                            .out_batch_stride = dim},
                                           context, weights.latent.value_up.data(), values));
    return Apply(products_, weights.latent.output, tokens, values, out, accumulate);
  }

 private:
  static std::size_t Values(int tokens, int width) {
    return static_cast<std::size_t>(tokens) * width;
  }
  int key_dim() const { return mla_.kv_lora_rank + mla_.qk_rope_head_dim; }

  /// expanded [tokens, heads, nope + rope].
  absl::Status Expand(const DeviceLatentWeights& weights, int tokens, const std::uint16_t* normed,
                      float* expanded) {
    if (weights.query_down.out == 0) {
      return Apply(products_, weights.query, tokens, normed, expanded);
    }
    const int rank = mla_.q_lora_rank;
    PB_ASSIGN_OR_RETURN(float* const down, query_latents_.Reserve(Values(tokens, rank)));
    PB_ASSIGN_OR_RETURN(std::uint16_t* const normed_down,
                        normed_latents_.Reserve(Values(tokens, rank)));
    PB_RETURN_IF_ERROR(Apply(products_, weights.query_down, tokens, normed, down));
    PB_RETURN_IF_ERROR(LaunchRmsNorm(down, weights.query_norm.data(), kLatentNormEps, tokens, rank,
                                     normed_down, stream_));
    return Apply(products_, weights.query, tokens, normed_down, expanded);
  }

  int heads_;
  MlaConfig mla_;
  Products* products_;
  cudaStream_t stream_;
  // [tokens, ...]
  Scratch<float> query_latents_, queries_, latents_;
  Scratch<std::uint16_t> normed_latents_, unrotated_, values_;
};

}  // namespace

std::unique_ptr<DeviceAttentionBlock> MakeDeviceLatentAttention(const ModelConfig& config,
                                                                const RankPlan& plan,
                                                                Products* products,
                                                                cudaStream_t stream) {
  return std::make_unique<DeviceLatentAttention>(config, plan, products, stream);
}

}  // namespace pinboard::engine
