// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/size/model_shape.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "app/size/known_models.h"
#include "base/status_macros.h"
#include "engine/config_fields.h"
#include "engine/json_file.h"

namespace pinboard::app {
namespace {

using engine::ConfigFields;
using nlohmann::json;

constexpr int kMaxField = 1 << 16;

// Where one of these is set, a layer caches something else than a row of one shape per token.
constexpr const char* kOtherCaches[] = {"multi_query",
                                        "num_kv_heads",
                                        "num_kv_shared_layers",
                                        "layers_block_type",
                                        "attn_layer_period",
                                        "hybrid_override_pattern",
                                        "full_attention_interval",
                                        "index_topk"};

bool IsSet(const ConfigFields& fields, const char* name) {
  const json* field = fields.Find(name);
  return field != nullptr && *field != false && *field != 0;
}

absl::Status Require(const ConfigFields& fields, const char* name, int* value) {
  return fields.RequireInRange(name, 1, kMaxField, value);
}

absl::Status OtherCache(const ConfigFields& fields, const char* name) {
  return fields.NotImplemented(absl::StrCat(
      "a cache of other than equal rows for every token and layer, as \"", name, "\" says,"));
}

absl::Status RefuseOtherCaches(const ConfigFields& fields) {
  for (const char* name : kOtherCaches) {
    if (IsSet(fields, name)) return OtherCache(fields, name);
  }
  const json* layers = fields.Find("layer_types");
  if (layers != nullptr && std::any_of(layers->begin(), layers->end(),
                                       [](const json& type) { return type != "full_attention"; })) {
    return OtherCache(fields, "layer_types");
  }
  const json* windowed = fields.Find("use_sliding_window");
  const bool window_is_used = windowed == nullptr || *windowed != false;
  return window_is_used && IsSet(fields, "sliding_window") ? OtherCache(fields, "sliding_window")
                                                           : absl::OkStatus();
}

absl::Status ReadGroupedAttention(const ConfigFields& fields, AttentionShape* shape) {
  shape->kv_heads = shape->heads;
  PB_RETURN_IF_ERROR(fields.OptionalInRange("num_key_value_heads", 1, kMaxField, &shape->kv_heads));
  if (fields.Find("head_dim") != nullptr) {
    PB_RETURN_IF_ERROR(Require(fields, "head_dim", &shape->head_dim));
  } else {
    int hidden_size = 0;
    PB_RETURN_IF_ERROR(Require(fields, "hidden_size", &hidden_size));
    if (hidden_size < shape->heads) return fields.Error("\"hidden_size\" is less than the heads");
    shape->head_dim = hidden_size / shape->heads;
  }
  int value_dim = shape->head_dim;
  PB_RETURN_IF_ERROR(fields.OptionalInRange("v_head_dim", 1, kMaxField, &value_dim));
  return value_dim == shape->head_dim ? absl::OkStatus() : OtherCache(fields, "v_head_dim");
}

absl::Status ReadLatentAttention(const ConfigFields& fields, AttentionShape* shape) {
  shape->kv_heads = 1;
  PB_RETURN_IF_ERROR(Require(fields, "kv_lora_rank", &shape->latent_dim));
  return Require(fields, "qk_rope_head_dim", &shape->rotary_dim);
}

}  // namespace

absl::StatusOr<AttentionShape> ParseAttentionShape(const std::string& text,
                                                   const std::string& path) {
  PB_ASSIGN_OR_RETURN(const json object, engine::ParseJsonObject(text, path));
  // Models that also see or hear keep the language model's fields apart.
  const ConfigFields all(object, path);
  const json* language = nullptr;
  PB_RETURN_IF_ERROR(all.FindObject("text_config", &language));
  const ConfigFields fields = language == nullptr ? all : all.Inside("text_config", *language);
  PB_RETURN_IF_ERROR(RefuseOtherCaches(fields));
  AttentionShape shape;
  PB_RETURN_IF_ERROR(Require(fields, "num_hidden_layers", &shape.layers));
  PB_RETURN_IF_ERROR(Require(fields, "num_attention_heads", &shape.heads));
  PB_RETURN_IF_ERROR(fields.Find("kv_lora_rank") != nullptr ? ReadLatentAttention(fields, &shape)
                                                            : ReadGroupedAttention(fields, &shape));
  return shape;
}

absl::StatusOr<AttentionShape> FindAttentionShape(const std::string& model) {
  for (const KnownModel& known : KnownModels()) {
    if (model == known.name) return known.shape;
  }
  std::error_code ignored;
  if (!std::filesystem::is_directory(model, ignored)) {
    return absl::NotFoundError(absl::StrCat("unknown model '", model, "': known are ",
                                            KnownModelNames(),
                                            ", or name a directory with a config.json"));
  }
  const std::string path = absl::StrCat(model, "/config.json");
  PB_ASSIGN_OR_RETURN(
      const std::string text,
      engine::ReadFile(path, "name a model directory in Hugging Face form (config.json)"));
  return ParseAttentionShape(text, path);
}

}  // namespace pinboard::app
