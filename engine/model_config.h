// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a Hugging Face config.json says about a model, typed and checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/moe_config.h"
#include "engine/rope_config.h"

namespace pinboard::engine {

enum class Architecture : std::uint8_t { kLlama, kQwen2, kDeepseekV3 };

/// Multi-head latent attention (DeepSeek): sizes per head, and of the latents.
struct MlaConfig {
  int q_lora_rank = 0;  // 0: queries are projected directly
  int kv_lora_rank = 0;
  int qk_nope_head_dim = 0;
  int qk_rope_head_dim = 0;
  int v_head_dim = 0;
  bool rope_interleave = true;  // rotary pairs are neighbours, not halves
};

struct ModelConfig {
  Architecture architecture = Architecture::kLlama;
  int vocab_size = 0;
  int hidden_size = 0;
  int intermediate_size = 0;  // columns of a dense MLP
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;  // as declared; MLA caches one latent whatever it says
  int head_dim = 0;  // MLA: 0
  int max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  RopeConfig rope;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;
  std::vector<std::int32_t> eos_ids;  // any of them ends a text; empty: none declared
  MlaConfig mla;                      // kDeepseekV3 only
  MoeConfig moe;                      // likewise

  bool is_mla() const { return architecture == Architecture::kDeepseekV3; }
  /// Values per query head and cached key: head_dim, or the latent followed by the rotary part.
  int key_dim() const { return is_mla() ? mla.kv_lora_rank + mla.qk_rope_head_dim : head_dim; }
  /// Values per cached value: head_dim, or the latent.
  int value_dim() const { return is_mla() ? mla.kv_lora_rank : head_dim; }
  /// Factor of the attention logits: 1 / sqrt(dimensions of a key before absorption), and MLA's
  /// correction for a stretched context.
  float attention_scale() const;
};

/// Parses the text of a config.json; `path` only names it in errors. InvalidArgument: a field is
/// missing or makes no sense. Unimplemented: the architecture or a feature (sliding windows,
/// quantised weights, ...), by name.
absl::StatusOr<ModelConfig> ParseModelConfig(const std::string& text, const std::string& path);

/// Reads `model_dir`/config.json, and eos_ids from generation_config.json where that is there and
/// names any. NotFound: there is no config.json.
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& model_dir);

}  // namespace pinboard::engine
