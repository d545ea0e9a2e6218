// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Small models with random weights, written as a Hugging Face directory.
#pragma once

#include <unistd.h>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "engine/model_config.h"

namespace pinboard::engine::testing {

struct TinyTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;

  const float* row(std::int64_t index) const { return values.data() + index * shape[1]; }
};

struct TinyModel {
  nlohmann::json json;  // config.json
  ModelConfig config;
  std::map<std::string, TinyTensor> tensors;

  const TinyTensor& operator[](const std::string& name) const { return tensors.at(name); }
};

inline nlohmann::json TinyLlamaJson() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", 96},
          {"hidden_size", 64},
          {"intermediate_size", 80},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 8},
          {"num_key_value_heads", 2},
          {"max_position_embeddings", 512},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 1000.0},
          {"tie_word_embeddings", false},
          {"eos_token_id", 2}};
}

inline nlohmann::json TinyQwen2Json() {
  nlohmann::json json = TinyLlamaJson();
  json["architectures"] = {"Qwen2ForCausalLM"};
  json["tie_word_embeddings"] = true;
  json.erase("rope_theta");
  json["rope_parameters"] = {{"rope_theta", 500.0}, {"rope_type", "default"}};
  return json;
}

inline nlohmann::json TinyDeepseekJson() {
  nlohmann::json json = TinyLlamaJson();
  json["architectures"] = {"DeepseekV3ForCausalLM"};
  json["num_key_value_heads"] = 8;
  json["q_lora_rank"] = nullptr;
  json["kv_lora_rank"] = 24;
  json["qk_nope_head_dim"] = 12;
  json["qk_rope_head_dim"] = 8;
  json["v_head_dim"] = 10;
  json["n_routed_experts"] = nullptr;
  return json;
}

inline nlohmann::json TinyMoeJson() {
  nlohmann::json json = TinyDeepseekJson();
  json["n_routed_experts"] = 12;
  json["n_shared_experts"] = 2;
  json["num_experts_per_tok"] = 3;
  json["n_group"] = 4;
  json["topk_group"] = 2;
  json["norm_topk_prob"] = true;
  json["routed_scaling_factor"] = 2.5;
  json["moe_intermediate_size"] = 24;
  json["moe_layer_freq"] = 1;
  json["first_k_dense_replace"] = 1;
  json["scoring_func"] = "sigmoid";
  json["topk_method"] = "noaux_tc";
  return json;
}

/// Every value is exact in F32, BF16 and F16.
class TinyWeights {
 public:
  TinyWeights(TinyModel* model, std::uint64_t seed) : model_(model), random_(seed) {}

  void Matrix(const std::string& name, std::int64_t out, std::int64_t in) {
    Fill(name, {out, in}, 0.0F, 127, 1.0F / 512);
  }
  void Bias(const std::string& name, std::int64_t size) {
    Fill(name, {size}, 0.0F, 127, 1.0F / 256);
  }
  void Norm(const std::string& name, std::int64_t size) {
    Fill(name, {size}, 1.0F, 32, 1.0F / 128);
  }

 private:
  void Fill(const std::string& name, std::vector<std::int64_t> shape, float centre, int range,
            float unit) {
    std::uniform_int_distribution<int> distribution(-range, range);
    TinyTensor tensor{std::move(shape), {}};
    std::int64_t count = 1;
    for (const std::int64_t dim : tensor.shape) count *= dim;
    for (std::int64_t i = 0; i < count; ++i) {
      tensor.values.push_back(centre + unit * static_cast<float>(distribution(random_)));
    }
    model_->tensors[name] = std::move(tensor);
  }

  TinyModel* model_;
  std::mt19937_64 random_;
};

inline void FillAttention(const ModelConfig& config, const std::string& prefix,
                          TinyWeights* weights) {
  const MlaConfig& mla = config.mla;
  if (!config.is_mla()) {
    for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
      const int rows = (name[0] == 'q' ? config.heads : config.kv_heads) * config.head_dim;
      weights->Matrix(prefix + name + ".weight", rows, config.hidden_size);
      if (config.qkv_bias) weights->Bias(prefix + name + ".bias", rows);
    }
    weights->Matrix(prefix + "o_proj.weight", config.hidden_size, config.heads * config.head_dim);
    return;
  }
  const int query_rows = config.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim);
  if (mla.q_lora_rank > 0) {
    weights->Matrix(prefix + "q_a_proj.weight", mla.q_lora_rank, config.hidden_size);
    weights->Norm(prefix + "q_a_layernorm.weight", mla.q_lora_rank);
    weights->Matrix(prefix + "q_b_proj.weight", query_rows, mla.q_lora_rank);
  } else {
    weights->Matrix(prefix + "q_proj.weight", query_rows, config.hidden_size);
  }
  weights->Matrix(prefix + "kv_a_proj_with_mqa.weight", config.key_dim(), config.hidden_size);
  weights->Norm(prefix + "kv_a_layernorm.weight", mla.kv_lora_rank);
  weights->Matrix(prefix + "kv_b_proj.weight",
                  config.heads * (mla.qk_nope_head_dim + mla.v_head_dim), mla.kv_lora_rank);
  weights->Matrix(prefix + "o_proj.weight", config.hidden_size, config.heads * mla.v_head_dim);
}

inline void FillMlp(const std::string& prefix, int columns, int hidden, TinyWeights* weights) {
  weights->Matrix(prefix + "gate_proj.weight", columns, hidden);
  weights->Matrix(prefix + "up_proj.weight", columns, hidden);
  weights->Matrix(prefix + "down_proj.weight", hidden, columns);
}

inline void FillExperts(const ModelConfig& config, const std::string& prefix,
                        TinyWeights* weights) {
  const MoeConfig& moe = config.moe;
  weights->Matrix(prefix + "gate.weight", moe.routed_experts, config.hidden_size);
  weights->Bias(prefix + "gate.e_score_correction_bias", moe.routed_experts);
  for (int expert = 0; expert < moe.routed_experts; ++expert) {
    FillMlp(prefix + "experts." + std::to_string(expert) + ".", moe.intermediate_size,
            config.hidden_size, weights);
  }
  if (moe.shared_experts == 0) return;
  FillMlp(prefix + "shared_experts.", moe.shared_experts * moe.intermediate_size,
          config.hidden_size, weights);
}

inline TinyModel MakeTinyModel(const nlohmann::json& json, std::uint64_t seed) {
  TinyModel model{.json = json, .config = *ParseModelConfig(json.dump(), "tiny")};
  const ModelConfig& config = model.config;
  TinyWeights weights(&model, seed);
  weights.Matrix("model.embed_tokens.weight", config.vocab_size, config.hidden_size);
  if (!config.tie_word_embeddings) {
    weights.Matrix("lm_head.weight", config.vocab_size, config.hidden_size);
  }
  weights.Norm("model.norm.weight", config.hidden_size);
  for (int layer = 0; layer < config.layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    weights.Norm(prefix + "input_layernorm.weight", config.hidden_size);
    weights.Norm(prefix + "post_attention_layernorm.weight", config.hidden_size);
    FillAttention(config, prefix + "self_attn.", &weights);
    const std::string mlp = prefix + "mlp.";
    config.moe.HasExperts(layer)
        ? FillExperts(config, mlp, &weights)
        : FillMlp(mlp, config.intermediate_size, config.hidden_size, &weights);
  }
  return model;
}

/// The value in `dtype` ("F32", "BF16", "F16"), little-endian. Requires it to be exact there.
inline std::string EncodeValue(float value, const std::string& dtype) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  std::uint32_t word = bits;
  if (dtype == "BF16") word = bits >> 16;
  if (dtype == "F16") {
    const std::uint32_t exponent = (bits >> 23 & 0xffU) - 112;
    word = value == 0 ? 0 : (bits >> 16 & 0x8000U) | exponent << 10 | (bits >> 13 & 0x3ffU);
  }
  std::string bytes;
  for (std::size_t i = 0; i < (dtype == "F32" ? 4U : 2U); ++i) {
    bytes.push_back(static_cast<char>(word >> (8 * i)));
  }
  return bytes;
}

/// A safetensors file of these tensors.
inline std::string EncodeSafetensors(const std::map<std::string, TinyTensor>& tensors,
                                     const std::string& dtype) {
  nlohmann::json header;
  header["__metadata__"] = {{"format", "pt"}};
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = data.size();
    for (const float value : tensor.values) data += EncodeValue(value, dtype);
    header[name] = {
        {"dtype", dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  const std::string text = header.dump();
  std::string file;
  for (int i = 0; i < 8; ++i) file.push_back(static_cast<char>(text.size() >> (8 * i)));
  return file + text + data;
}

inline void WriteFile(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A directory of its own, gone with the object.
class TinyDirectory {
 public:
  explicit TinyDirectory(const std::string& name)
      : path_(std::filesystem::temp_directory_path() /
              ("pinboard-" + name + "-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TinyDirectory() { std::filesystem::remove_all(path_); }
  TinyDirectory(const TinyDirectory&) = delete;
  TinyDirectory& operator=(const TinyDirectory&) = delete;

  std::string path() const { return path_.string(); }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Writes config.json and the weights, in one file or in two shards with an index.
inline void WriteTinyModel(const TinyModel& model, const TinyDirectory& directory,
                           const std::string& dtype = "F32", bool sharded = false) {
  WriteFile(directory / "config.json", model.json.dump());
  if (!sharded) {
    WriteFile(directory / "model.safetensors", EncodeSafetensors(model.tensors, dtype));
    return;
  }
  std::map<std::string, TinyTensor> parts[2];
  nlohmann::json map;
  for (const auto& [name, tensor] : model.tensors) {
    const std::size_t part = map.size() % 2;
    parts[part][name] = tensor;
    map[name] = "model-0000" + std::to_string(part + 1) + "-of-00002.safetensors";
  }
  for (int part = 0; part < 2; ++part) {
    WriteFile(directory / ("model-0000" + std::to_string(part + 1) + "-of-00002.safetensors"),
              EncodeSafetensors(parts[part], dtype));
  }
  WriteFile(directory / "model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
}

}  // namespace pinboard::engine::testing
