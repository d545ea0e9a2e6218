// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer/pre_tokenizer.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;

constexpr char kGpt2Pattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool Flag(const json& object, const char* name, bool otherwise) {
  const auto field = object.find(name);
  return field != object.end() && field->is_boolean() ? field->get<bool>() : otherwise;
}

std::string TypeOf(const json& object) {
  const auto type = object.is_object() ? object.find("type") : object.end();
  return object.is_object() && type != object.end() && type->is_string() ? type->get<std::string>()
                                                                         : object.dump();
}

absl::Status NotSupported(const std::string& path, const std::string& what) {
  return absl::UnimplementedError(
      absl::StrCat(path, ": pre-tokenizer ", what, " is not supported"));
}

/// A pattern that matches `literal` and nothing else.
std::string Quoted(const std::string& literal) {
  std::string pattern;
  for (const char c : literal) {
    if (static_cast<unsigned char>(c) < 0x80 && !isalnum(static_cast<unsigned char>(c))) {
      pattern.push_back('\\');
    }
    pattern.push_back(c);
  }
  return pattern;
}

absl::StatusOr<std::string> PatternOf(const json& step, const std::string& path) {
  if (Flag(step, "invert", false)) return NotSupported(path, "Split with \"invert\"");
  const auto behavior = step.find("behavior");
  if (behavior == step.end() || *behavior != "Isolated") {
    return NotSupported(path, "Split with a behaviour other than Isolated");
  }
  const auto pattern = step.find("pattern");
  if (pattern != step.end() && pattern->is_object()) {
    const auto regex = pattern->find("Regex"), literal = pattern->find("String");
    if (regex != pattern->end() && regex->is_string()) return regex->get<std::string>();
    if (literal != pattern->end() && literal->is_string()) {
      return Quoted(literal->get<std::string>());
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(path, ": pre-tokenizer Split has no pattern"));
}

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Parse(const json& object, const std::string& path) {
  PreTokenizer result;
  PB_RETURN_IF_ERROR(result.AddStep(object, path));
  if (!result.byte_level_) return NotSupported(path, "without a ByteLevel step");
  return result;
}

absl::Status PreTokenizer::AddStep(const json& step, const std::string& path) {
  const std::string type = TypeOf(step);
  if (byte_level_) return NotSupported(path, absl::StrCat(type, " after ByteLevel"));
  if (type == "Sequence") {
    const auto steps = step.find("pretokenizers");
    if (steps == step.end() || !steps->is_array()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": \"pretokenizers\" is missing"));
    }
    for (const json& inner : *steps) PB_RETURN_IF_ERROR(AddStep(inner, path));
    return absl::OkStatus();
  }
  if (type == "Split") {
    PB_ASSIGN_OR_RETURN(const std::string pattern, PatternOf(step, path));
    return AddPattern(pattern, path);
  }
  if (type == "Digits") {
    return AddPattern(Flag(step, "individual_digits", false) ? "\\p{N}" : "\\p{N}+", path);
  }
  if (type != "ByteLevel") return NotSupported(path, type);
  byte_level_ = true;
  if (Flag(step, "add_prefix_space", true)) {
    if (!patterns_.empty())
      return NotSupported(path, "ByteLevel with a prefix space after a split");
    add_prefix_space_ = true;
  }
  return Flag(step, "use_regex", true) ? AddPattern(kGpt2Pattern, path) : absl::OkStatus();
}

absl::Status PreTokenizer::AddPattern(const std::string& pattern, const std::string& path) {
  absl::StatusOr<SplitPattern> compiled = SplitPattern::Compile(pattern);
  if (!compiled.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", compiled.status().message()));
  }
  patterns_.push_back(*std::move(compiled));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> PreTokenizer::Split(const std::string& text) const {
  std::vector<std::string> words = {text};
  if (add_prefix_space_ && !text.empty() && text[0] != ' ') words[0].insert(0, 1, ' ');
  for (const SplitPattern& pattern : patterns_) {
    std::vector<std::string> pieces;
    for (const std::string& word : words) PB_RETURN_IF_ERROR(pattern.Split(word, &pieces));
    words = std::move(pieces);
  }
  return words;
}

}  // namespace pinboard::engine
