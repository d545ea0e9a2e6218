// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One rank's weights, as float, in the order the products want them.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "engine/model_config.h"
#include "engine/rank_plan.h"
#include "engine/safetensors.h"

namespace pinboard::engine {

/// y = weight x + bias; weight [out, in] row-major, bias [out] or empty.
struct Linear {
  int out = 0;
  int in = 0;
  std::vector<float> weight;
  std::vector<float> bias;
};

/// Llama, Qwen2: this rank's heads.
struct GroupedAttentionWeights {
  Linear query, key, value;
  Linear output;  // columns of this rank's heads: a partial sum
};

/// DeepSeek: projections into the latents are replicated, everything per head is this rank's.
struct LatentAttentionWeights {
  Linear query_down;               // out 0: queries are projected directly
  std::vector<float> query_norm;   // [q_lora_rank]
  Linear query;                    // to [heads, nope + rope]
  Linear latent;                   // to [kv_lora_rank + rope]
  std::vector<float> latent_norm;  // [kv_lora_rank]
  std::vector<float> key_up;       // [heads, nope, kv_lora_rank]
  std::vector<float> value_up;     // [heads, v_head_dim, kv_lora_rank]
  Linear output;
};

/// This rank's columns of one MLP.
struct MlpWeights {
  Linear gate, up;
  Linear down;  // a partial sum
};

/// The routed experts of a layer; the router is replicated.
struct ExpertWeights {
  Linear gate;                     // [experts, hidden]
  std::vector<float> gate_bias;    // [experts]; concerns the choice alone
  std::vector<MlpWeights> routed;  // [experts]
};

struct LayerWeights {
  std::vector<float> attention_norm, mlp_norm;  // [hidden]
  GroupedAttentionWeights grouped;              // not MLA
  LatentAttentionWeights latent;                // MLA
  MlpWeights mlp;                               // dense, or the shared experts if there are any
  ExpertWeights experts;                        // empty: the layer is dense
};

struct ModelWeights {
  std::vector<float> embedding;  // [vocab_local, hidden]
  std::vector<float> lm_head;    // [vocab_local, hidden]; empty: tied to the embedding
  std::vector<float> final_norm;
  std::vector<LayerWeights> layers;

  const std::vector<float>& output_embedding() const {
    return lm_head.empty() ? embedding : lm_head;
  }
};

/// Reads this rank's part. Errors are Checkpoint::Read's.
absl::StatusOr<ModelWeights> LoadWeights(const Checkpoint& checkpoint, const ModelConfig& config,
                                         const RankPlan& plan);

}  // namespace pinboard::engine
