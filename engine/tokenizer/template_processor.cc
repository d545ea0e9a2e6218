// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer/template_processor.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;

absl::Status Invalid(const std::string& path) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": post_processor is not valid"));
}

/// Ids of the special token that a template names.
absl::Status AppendIds(const json& processor, const json& piece, const std::string& path,
                       std::vector<std::int32_t>* ids) {
  const auto tokens = processor.find("special_tokens");
  if (tokens == processor.end() || !tokens->is_object() || !piece.is_object()) return Invalid(path);
  const auto name = piece.find("id");
  if (name == piece.end() || !name->is_string()) return Invalid(path);
  const std::string& key = name->get_ref<const std::string&>();
  const auto token = tokens->find(key);
  if (token == tokens->end() || !token->is_object()) return Invalid(path);
  const auto list = token->find("ids");
  if (list == token->end() || !list->is_array()) return Invalid(path);
  for (const json& id : *list) {
    if (!id.is_number_integer()) return Invalid(path);
    ids->push_back(id.get<std::int32_t>());
  }
  return absl::OkStatus();
}

absl::Status AddSingle(const json& processor, const std::string& path, SpecialTokenTemplate* out) {
  const auto pieces = processor.find("single");
  if (pieces == processor.end() || !pieces->is_array()) return Invalid(path);
  bool behind_text = false;
  for (const json& piece : *pieces) {
    if (!piece.is_object()) return Invalid(path);
    const auto special = piece.find("SpecialToken");
    if (special == piece.end()) {
      behind_text = true;
      continue;
    }
    PB_RETURN_IF_ERROR(
        AppendIds(processor, *special, path, behind_text ? &out->after : &out->before));
  }
  return absl::OkStatus();
}

absl::Status Add(const json& processor, const std::string& path, SpecialTokenTemplate* out) {
  const auto field = processor.is_object() ? processor.find("type") : processor.end();
  if (field == processor.end() || !field->is_string()) return Invalid(path);
  const auto& type = field->get_ref<const std::string&>();
  if (type == "ByteLevel") return absl::OkStatus();
  if (type == "TemplateProcessing") return AddSingle(processor, path, out);
  if (type != "Sequence") {
    return absl::UnimplementedError(
        absl::StrCat(path, ": post-processor ", type, " is not supported"));
  }
  const auto inner = processor.find("processors");
  if (inner == processor.end() || !inner->is_array()) return Invalid(path);
  for (const json& each : *inner) PB_RETURN_IF_ERROR(Add(each, path, out));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SpecialTokenTemplate> ParseTemplate(const json& object, const std::string& path) {
  SpecialTokenTemplate result;
  if (object.is_null()) return result;
  PB_RETURN_IF_ERROR(Add(object, path, &result));
  return result;
}

}  // namespace pinboard::engine
