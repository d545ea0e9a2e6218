// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer/added_tokens.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "engine/tokenizer/bpe.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;

absl::StatusOr<AddedToken> ParseToken(const json& object, const std::string& path) {
  const auto id = object.is_object() ? object.find("id") : object.end();
  const auto content = object.is_object() ? object.find("content") : object.end();
  if (!object.is_object() || id == object.end() || !id->is_number_integer() ||
      content == object.end() || !content->is_string() || content->get<std::string>().empty() ||
      id->get<std::int64_t>() < 0 || id->get<std::int64_t>() > kMaxTokenId) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": an added token has no valid id and content"));
  }
  for (const char* name : {"single_word", "lstrip", "rstrip"}) {
    const auto flag = object.find(name);
    if (flag == object.end() || *flag != true) continue;
    return absl::UnimplementedError(absl::StrCat(path, ": added token ", content->dump(),
                                                 " with \"", name, "\" is not supported"));
  }
  const auto special = object.find("special");
  return AddedToken{id->get<std::int32_t>(), content->get<std::string>(),
                    special != object.end() && *special == true};
}

}  // namespace

absl::StatusOr<AddedTokens> AddedTokens::Parse(const json& list, const std::string& path) {
  AddedTokens result;
  if (list.is_null()) return result;
  for (const json& object : list) {
    PB_ASSIGN_OR_RETURN(AddedToken token, ParseToken(object, path));
    result.tokens_.push_back(std::move(token));
  }
  std::stable_sort(
      result.tokens_.begin(), result.tokens_.end(),
      [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
  for (std::size_t i = 0; i < result.tokens_.size(); ++i) {
    result.starts_[static_cast<unsigned char>(result.tokens_[i].content[0])].push_back(i);
  }
  return result;
}

const AddedToken* AddedTokens::Match(const std::string& text, std::size_t offset) const {
  for (const std::size_t index : starts_[static_cast<unsigned char>(text[offset])]) {
    const std::string& content = tokens_[index].content;
    if (text.compare(offset, content.size(), content) == 0) return &tokens_[index];
  }
  return nullptr;
}

std::vector<TextPart> AddedTokens::Split(const std::string& text) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;
  const auto flush = [&](std::size_t end) {
    if (end > done) parts.push_back({-1, text.substr(done, end - done)});
  };
  for (std::size_t offset = 0; offset < text.size();) {
    const AddedToken* token = Match(text, offset);
    if (token == nullptr) {
      ++offset;
      continue;
    }
    flush(offset);
    parts.push_back({token->id, token->content});
    done = offset += token->content.size();
  }
  flush(text.size());
  return parts;
}

}  // namespace pinboard::engine
