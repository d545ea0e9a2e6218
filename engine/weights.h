// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One rank's weights, in the order the products want them.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/model_config.h"
#include "engine/rank_plan.h"
#include "engine/safetensors.h"

namespace pinboard::engine {

/// How weights are kept: a Matrix holds [out, in] values row-major, a Vector those of a norm or a
/// bias; both say their size() and are empty by default.
struct HostStorage {
  using Matrix = std::vector<float>;
  using Vector = std::vector<float>;
};

/// y = weight x + bias; weight [out, in] row-major, bias [out] or empty.
template <typename Storage>
struct BasicLinear {
  int out = 0;
  int in = 0;
  typename Storage::Matrix weight;
  typename Storage::Vector bias;
};

/// Llama, Qwen2: this rank's heads.
template <typename Storage>
struct BasicGroupedAttentionWeights {
  BasicLinear<Storage> query, key, value;
  BasicLinear<Storage> output;  // columns of this rank's heads: a partial sum
};

/// DeepSeek: projections into the latents are replicated, everything per head is this rank's.
template <typename Storage>
struct BasicLatentAttentionWeights {
  BasicLinear<Storage> query_down;       // out 0: queries are projected directly
  typename Storage::Vector query_norm;   // [q_lora_rank]
  BasicLinear<Storage> query;            // to [heads, nope + rope]
  BasicLinear<Storage> latent;           // to [kv_lora_rank + rope]
  typename Storage::Vector latent_norm;  // [kv_lora_rank]
  typename Storage::Matrix key_up;       // [heads, nope, kv_lora_rank]
  typename Storage::Matrix value_up;     // [heads, v_head_dim, kv_lora_rank]
  BasicLinear<Storage> output;
};

/// This rank's columns of one MLP.
template <typename Storage>
struct BasicMlpWeights {
  BasicLinear<Storage> gate, up;
  BasicLinear<Storage> down;  // a partial sum
};

/// The routed experts of a layer; the router is replicated.
template <typename Storage>
struct BasicExpertWeights {
  BasicLinear<Storage> gate;                     // [experts, hidden]
  typename Storage::Vector gate_bias;            // [experts]; concerns the choice alone
  std::vector<BasicMlpWeights<Storage>> routed;  // [experts]
};

template <typename Storage>
struct BasicLayerWeights {
  typename Storage::Vector attention_norm, mlp_norm;  // [hidden]
  BasicGroupedAttentionWeights<Storage> grouped;      // not MLA
  BasicLatentAttentionWeights<Storage> latent;        // MLA
  BasicMlpWeights<Storage> mlp;         // dense, or the shared experts if there are any
  BasicExpertWeights<Storage> experts;  // empty: the layer is dense
};

template <typename Storage>
struct BasicModelWeights {
  typename Storage::Matrix embedding;  // [vocab_local, hidden]
  typename Storage::Matrix lm_head;    // [vocab_local, hidden]; empty: tied to the embedding
  typename Storage::Vector final_norm;
  std::vector<BasicLayerWeights<Storage>> layers;

  const typename Storage::Matrix& output_embedding() const {
    return lm_head.size() == 0 ? embedding : lm_head;
  }
};

using Linear = BasicLinear<HostStorage>;
using LatentAttentionWeights = BasicLatentAttentionWeights<HostStorage>;
using MlpWeights = BasicMlpWeights<HostStorage>;
using ExpertWeights = BasicExpertWeights<HostStorage>;
using LayerWeights = BasicLayerWeights<HostStorage>;
using ModelWeights = BasicModelWeights<HostStorage>;

/// Reads this rank's part into host memory. Errors are Checkpoint::Read's.
absl::StatusOr<ModelWeights> LoadWeights(const Checkpoint& checkpoint, const ModelConfig& config,
                                         const RankPlan& plan);
/// Draws it (random_weights.h): the same model for every number of ranks.
absl::StatusOr<ModelWeights> DrawWeights(std::uint64_t seed, const ModelConfig& config,
                                         const RankPlan& plan);

}  // namespace pinboard::engine
