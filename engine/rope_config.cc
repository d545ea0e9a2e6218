// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/rope_config.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;

double Magnitude(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

absl::Status ReadType(const ConfigFields& rope, RopeType* type) {
  const json* field = rope.Find("rope_type");
  if (field == nullptr) field = rope.Find("type");
  const std::string name = field == nullptr ? "\"default\"" : field->dump();
  if (name == "\"default\"") {
    *type = RopeType::kDefault;
  } else if (name == "\"linear\"") {
    *type = RopeType::kLinear;
  } else if (name == "\"llama3\"") {
    *type = RopeType::kLlama3;
  } else if (name == "\"yarn\"") {
    *type = RopeType::kYarn;
  } else {
    return rope.NotImplemented(
        absl::StrCat("rope type ", name, " (known: default, linear, llama3, yarn)"));
  }
  return absl::OkStatus();
}

absl::Status ReadLlama3(const ConfigFields& rope, RopeConfig* config) {
  PB_RETURN_IF_ERROR(rope.RequirePositive("low_freq_factor", &config->low_freq_factor));
  PB_RETURN_IF_ERROR(rope.RequirePositive("high_freq_factor", &config->high_freq_factor));
  return config->high_freq_factor > config->low_freq_factor
             ? absl::OkStatus()
             : rope.Error("\"high_freq_factor\" must be greater than \"low_freq_factor\"");
}

absl::Status ReadYarn(const ConfigFields& rope, RopeConfig* config) {
  PB_RETURN_IF_ERROR(rope.OptionalPositive("beta_fast", &config->beta_fast));
  PB_RETURN_IF_ERROR(rope.OptionalPositive("beta_slow", &config->beta_slow));
  PB_RETURN_IF_ERROR(rope.OptionalBool("truncate", &config->truncate));
  PB_RETURN_IF_ERROR(rope.OptionalNonNegative("mscale", &config->mscale));
  PB_RETURN_IF_ERROR(rope.OptionalNonNegative("mscale_all_dim", &config->mscale_all_dim));
  PB_RETURN_IF_ERROR(rope.OptionalPositive("attention_factor", &config->attention_factor));
  if (config->beta_fast < config->beta_slow) {
    return rope.Error("\"beta_fast\" must not be less than \"beta_slow\"");
  }
  return config->theta > 1 ? absl::OkStatus() : rope.Error("\"rope_theta\" must be above 1");
}

absl::Status ReadScaling(const ConfigFields& top, const ConfigFields& rope,
                         int max_position_embeddings, RopeConfig* config) {
  PB_RETURN_IF_ERROR(ReadType(rope, &config->type));
  if (config->type == RopeType::kDefault) return absl::OkStatus();
  PB_RETURN_IF_ERROR(rope.RequirePositive("factor", &config->factor));
  if (config->factor < 1) return rope.Error("\"factor\" must be at least 1");
  if (config->type == RopeType::kLinear) return absl::OkStatus();
  constexpr char kOriginal[] = "original_max_position_embeddings";
  int original = max_position_embeddings;
  PB_RETURN_IF_ERROR(rope.OptionalPositive(kOriginal, &original));
  PB_RETURN_IF_ERROR(top.OptionalPositive(kOriginal, &original));
  if (original == 0) return rope.Error(absl::StrCat("\"", kOriginal, "\" is missing"));
  config->original_max_position_embeddings = original;
  return config->type == RopeType::kLlama3 ? ReadLlama3(rope, config) : ReadYarn(rope, config);
}

absl::Status RefuseNested(const ConfigFields& rope) {
  for (auto it = rope.object().begin(); it != rope.object().end(); ++it) {
    if (it->is_object()) return rope.NotImplemented(absl::StrCat("a rope for \"", it.key(), "\""));
  }
  return absl::OkStatus();
}

}  // namespace

double RopeConfig::RotationScale() const {
  if (type != RopeType::kYarn) return 1.0;
  if (attention_factor > 0) return attention_factor;
  if (mscale == 0 || mscale_all_dim == 0) return Magnitude(factor, 1.0);
  return Magnitude(factor, mscale) / Magnitude(factor, mscale_all_dim);
}

double RopeConfig::LatentLogitsScale() const {
  if (type != RopeType::kYarn || mscale_all_dim == 0) return 1.0;
  const double magnitude = Magnitude(factor, mscale_all_dim);
  return magnitude * magnitude;
}

absl::StatusOr<RopeConfig> ReadRopeConfig(const ConfigFields& fields, int max_position_embeddings) {
  RopeConfig config;
  double rotated_share = 1.0;
  PB_RETURN_IF_ERROR(fields.OptionalPositive("rope_theta", &config.theta));
  PB_RETURN_IF_ERROR(fields.OptionalPositive("partial_rotary_factor", &rotated_share));
  const char* name = "rope_scaling";
  const json* object = nullptr;
  PB_RETURN_IF_ERROR(fields.FindObject(name, &object));
  if (object == nullptr) {
    name = "rope_parameters";
    PB_RETURN_IF_ERROR(fields.FindObject(name, &object));
  }
  if (object != nullptr) {
    const ConfigFields rope = fields.Inside(name, *object);
    PB_RETURN_IF_ERROR(RefuseNested(rope));
    PB_RETURN_IF_ERROR(rope.OptionalPositive("rope_theta", &config.theta));
    PB_RETURN_IF_ERROR(rope.OptionalPositive("partial_rotary_factor", &rotated_share));
    PB_RETURN_IF_ERROR(ReadScaling(fields, rope, max_position_embeddings, &config));
  }
  if (rotated_share != 1.0) return fields.NotImplemented("partial_rotary_factor");
  return config;
}

}  // namespace pinboard::engine
