// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/size/model_shape.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "app/size/known_models.h"
#include "base/status_macros.h"
#include "engine/json_file.h"

namespace pinboard::app {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxField = 1 << 16;

// Where one of these is set, a layer caches something else than a row of one shape per token.
constexpr const char* kOtherCaches[] = {"multi_query",
                                        "num_kv_heads",
                                        "num_kv_shared_layers",
                                        "layers_block_type",
                                        "attn_layer_period",
                                        "hybrid_override_pattern",
                                        "full_attention_interval",
                                        "index_topk"};

/// The fields of one object; null counts as absent.
class Fields {
 public:
  Fields(const json& object, const std::string& path) : object_(object), path_(path) {}

  const json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  bool IsSet(const char* name) const {
    const json* field = Find(name);
    return field != nullptr && *field != false && *field != 0;
  }
  absl::Status Require(const char* name, int* value) const {
    const json* field = Find(name);
    if (field == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(path_, ": \"", name, "\" is missing"));
    }
    const auto number = field->is_number_integer() ? field->get<std::int64_t>() : 0;
    if (number < 1 || number > kMaxField) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": \"", name, "\" must be a whole number from 1 to ", kMaxField));
    }
    *value = static_cast<int>(number);
    return absl::OkStatus();
  }
  absl::Status Optional(const char* name, int* value) const {
    return Find(name) == nullptr ? absl::OkStatus() : Require(name, value);
  }
  absl::Status OtherCache(const char* name) const {
    return absl::UnimplementedError(absl::StrCat(
        path_, ": \"", name, "\" makes the caches of layers differ, which is not supported"));
  }

 private:
  const json& object_;
  const std::string& path_;
};

absl::Status RefuseOtherCaches(const Fields& fields) {
  for (const char* name : kOtherCaches) {
    if (fields.IsSet(name)) return fields.OtherCache(name);
  }
  const json* layers = fields.Find("layer_types");
  if (layers != nullptr && std::any_of(layers->begin(), layers->end(),
                                       [](const json& type) { return type != "full_attention"; })) {
    return fields.OtherCache("layer_types");
  }
  const json* windowed = fields.Find("use_sliding_window");
  const bool window_is_used = windowed == nullptr || *windowed != false;
  if (window_is_used && fields.IsSet("sliding_window")) return fields.OtherCache("sliding_window");
  return absl::OkStatus();
}

absl::Status ReadGroupedAttention(const Fields& fields, AttentionShape* shape) {
  shape->kv_heads = shape->heads;
  PB_RETURN_IF_ERROR(fields.Optional("num_key_value_heads", &shape->kv_heads));
  if (fields.Find("head_dim") != nullptr) {
    PB_RETURN_IF_ERROR(fields.Require("head_dim", &shape->head_dim));
  } else {
    int hidden_size = 0;
    PB_RETURN_IF_ERROR(fields.Require("hidden_size", &hidden_size));
    shape->head_dim = hidden_size / shape->heads;
  }
  int value_dim = shape->head_dim;
  PB_RETURN_IF_ERROR(fields.Optional("v_head_dim", &value_dim));
  return value_dim == shape->head_dim ? absl::OkStatus() : fields.OtherCache("v_head_dim");
}

absl::Status ReadLatentAttention(const Fields& fields, AttentionShape* shape) {
  shape->kv_heads = 1;
  PB_RETURN_IF_ERROR(fields.Require("kv_lora_rank", &shape->latent_dim));
  return fields.Require("qk_rope_head_dim", &shape->rotary_dim);
}

}  // namespace

absl::StatusOr<AttentionShape> ParseAttentionShape(const std::string& text,
                                                   const std::string& path) {
  PB_ASSIGN_OR_RETURN(const json object, engine::ParseJsonObject(text, path));
  // Models that also see or hear keep the language model's fields apart.
  const auto language = object.find("text_config");
  const bool nested = language != object.end() && language->is_object();
  const Fields fields(nested ? *language : object, path);
  PB_RETURN_IF_ERROR(RefuseOtherCaches(fields));
  AttentionShape shape;
  PB_RETURN_IF_ERROR(fields.Require("num_hidden_layers", &shape.layers));
  PB_RETURN_IF_ERROR(fields.Require("num_attention_heads", &shape.heads));
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
