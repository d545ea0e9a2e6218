// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/model_config.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "engine/config_fields.h"
#include "engine/json_file.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;

absl::Status ReadArchitecture(const ConfigFields& fields, Architecture* architecture) {
  const json* names = fields.Find("architectures");
  if (names == nullptr || !names->is_array() || names->empty() || !names->front().is_string()) {
    return fields.Error("\"architectures\" is missing");
  }
  const auto name = names->front().get<std::string>();
  if (name == "LlamaForCausalLM") {
    *architecture = Architecture::kLlama;
  } else if (name == "Qwen2ForCausalLM") {
    *architecture = Architecture::kQwen2;
  } else if (name == "DeepseekV3ForCausalLM") {
    *architecture = Architecture::kDeepseekV3;
  } else {
    return fields.NotImplemented(absl::StrCat("architecture ", name,
                                              " (known: LlamaForCausalLM, Qwen2ForCausalLM, "
                                              "DeepseekV3ForCausalLM)"));
  }
  return absl::OkStatus();
}

/// Leaves `eos_ids` alone where the fields name none.
absl::Status ReadEosIds(const ConfigFields& fields, std::vector<std::int32_t>* eos_ids) {
  const json* field = fields.Find("eos_token_id");
  if (field == nullptr) return absl::OkStatus();
  const json ids = field->is_array() ? *field : json::array({*field});
  if (!ids.empty()) eos_ids->clear();
  for (const json& id : ids) {
    if (!id.is_number_integer()) return fields.Error("\"eos_token_id\" must be an id or a list");
    eos_ids->push_back(id.get<std::int32_t>());
  }
  return absl::OkStatus();
}

absl::Status ReadGroupedAttention(const ConfigFields& fields, ModelConfig* config) {
  PB_RETURN_IF_ERROR(fields.RefuseIfTrue("use_sliding_window"));
  PB_RETURN_IF_ERROR(fields.RefuseIfTrue("mlp_bias"));
  if (config->architecture == Architecture::kQwen2) {
    config->qkv_bias = true;
  } else {
    PB_RETURN_IF_ERROR(fields.RefuseIfTrue("attention_bias"));
  }
  if (config->hidden_size < config->heads) {
    return fields.Error("\"hidden_size\" is less than the heads");
  }
  config->head_dim = config->hidden_size / config->heads;
  PB_RETURN_IF_ERROR(fields.OptionalPositive("head_dim", &config->head_dim));
  if (config->heads % config->kv_heads != 0) {
    return fields.Error(absl::StrCat(config->heads, " attention heads are not a multiple of ",
                                     config->kv_heads, " key-value heads"));
  }
  if (config->head_dim % 2 != 0) return fields.Error("the head dimension must be even");
  return absl::OkStatus();
}

absl::Status ReadLatentAttention(const ConfigFields& fields, ModelConfig* config) {
  MlaConfig& mla = config->mla;
  PB_RETURN_IF_ERROR(fields.RefuseIfTrue("attention_bias"));
  PB_ASSIGN_OR_RETURN(config->moe, ReadMoeConfig(fields, config->layers));
  PB_RETURN_IF_ERROR(fields.OptionalPositive("q_lora_rank", &mla.q_lora_rank));
  PB_RETURN_IF_ERROR(fields.RequirePositive("kv_lora_rank", &mla.kv_lora_rank));
  PB_RETURN_IF_ERROR(fields.RequirePositive("qk_nope_head_dim", &mla.qk_nope_head_dim));
  PB_RETURN_IF_ERROR(fields.RequirePositive("qk_rope_head_dim", &mla.qk_rope_head_dim));
  PB_RETURN_IF_ERROR(fields.RequirePositive("v_head_dim", &mla.v_head_dim));
  PB_RETURN_IF_ERROR(fields.OptionalBool("rope_interleave", &mla.rope_interleave));
  if (mla.qk_rope_head_dim % 2 != 0) return fields.Error("\"qk_rope_head_dim\" must be even");
  return absl::OkStatus();
}

absl::Status ReadCommon(const ConfigFields& fields, ModelConfig* config) {
  PB_RETURN_IF_ERROR(ReadArchitecture(fields, &config->architecture));
  PB_RETURN_IF_ERROR(fields.RequirePositive("vocab_size", &config->vocab_size));
  PB_RETURN_IF_ERROR(fields.RequirePositive("hidden_size", &config->hidden_size));
  PB_RETURN_IF_ERROR(fields.RequirePositive("intermediate_size", &config->intermediate_size));
  PB_RETURN_IF_ERROR(fields.RequirePositive("num_hidden_layers", &config->layers));
  PB_RETURN_IF_ERROR(fields.RequirePositive("num_attention_heads", &config->heads));
  config->kv_heads = config->heads;
  PB_RETURN_IF_ERROR(fields.OptionalPositive("num_key_value_heads", &config->kv_heads));
  PB_RETURN_IF_ERROR(
      fields.OptionalPositive("max_position_embeddings", &config->max_position_embeddings));
  PB_RETURN_IF_ERROR(fields.OptionalPositive("rms_norm_eps", &config->rms_norm_eps));
  PB_RETURN_IF_ERROR(fields.OptionalBool("tie_word_embeddings", &config->tie_word_embeddings));
  if (fields.Find("quantization_config") != nullptr) {
    return fields.NotImplemented("\"quantization_config\"");
  }
  const json* activation = fields.Find("hidden_act");
  if (activation != nullptr && *activation != "silu") {
    return fields.NotImplemented(absl::StrCat("hidden_act ", activation->dump()));
  }
  PB_RETURN_IF_ERROR(ReadEosIds(fields, &config->eos_ids));
  PB_ASSIGN_OR_RETURN(config->rope, ReadRopeConfig(fields, config->max_position_embeddings));
  return absl::OkStatus();
}

/// What a model's publishers changed their mind about: chat models end a turn by another token.
absl::Status ReadGenerationConfig(const std::string& model_dir, ModelConfig* config) {
  const std::string path = absl::StrCat(model_dir, "/generation_config.json");
  const auto text = ReadFile(path, "");
  if (absl::IsNotFound(text.status())) return absl::OkStatus();
  PB_RETURN_IF_ERROR(text.status());
  PB_ASSIGN_OR_RETURN(const json object, ParseJsonObject(*text, path));
  return ReadEosIds(ConfigFields(object, path), &config->eos_ids);
}

}  // namespace

float ModelConfig::attention_scale() const {
  const int dim = is_mla() ? mla.qk_nope_head_dim + mla.qk_rope_head_dim : head_dim;
  const double stretched = is_mla() ? rope.LatentLogitsScale() : 1.0;
  return static_cast<float>(stretched / std::sqrt(static_cast<double>(dim)));
}

absl::StatusOr<ModelConfig> ParseModelConfig(const std::string& text, const std::string& path) {
  PB_ASSIGN_OR_RETURN(const json object, ParseJsonObject(text, path));
  const ConfigFields fields(object, path);
  ModelConfig config;
  PB_RETURN_IF_ERROR(ReadCommon(fields, &config));
  PB_RETURN_IF_ERROR(config.is_mla() ? ReadLatentAttention(fields, &config)
                                     : ReadGroupedAttention(fields, &config));
  return config;
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& model_dir) {
  const std::string path = absl::StrCat(model_dir, "/config.json");
  PB_ASSIGN_OR_RETURN(
      const std::string text,
      ReadFile(path, "name a model directory in Hugging Face form (config.json, *.safetensors)"));
  PB_ASSIGN_OR_RETURN(ModelConfig config, ParseModelConfig(text, path));
  PB_RETURN_IF_ERROR(ReadGenerationConfig(model_dir, &config));
  return config;
}

}  // namespace pinboard::engine
