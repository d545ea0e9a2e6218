// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/suite/suite.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

using Json = nlohmann::json;

/// Turns one line into an item; errors do not name the line yet.
class LineReader {
 public:
  explicit LineReader(const TokenVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  absl::StatusOr<SuiteItem> Read(const std::string& line) const {
    const Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) {
      return absl::InvalidArgumentError(
          R"(not a JSON object: a line is {"context": ..., "continuation": ..., "questions": [...]})");
    }
    SuiteItem item;
    const bool has_prompt = object.contains("prompt");
    if (has_prompt) {
      PB_ASSIGN_OR_RETURN(item.context, Tokens(object, "prompt", /*starts_text=*/true));
      item.prompt_tokens = static_cast<int>(item.context.size());
    }
    PB_ASSIGN_OR_RETURN(const auto rest, Tokens(object, "context", /*starts_text=*/!has_prompt));
    item.context.insert(item.context.end(), rest.begin(), rest.end());
    if (object.contains("continuation")) {
      PB_ASSIGN_OR_RETURN(item.continuation,
                          ReadTokens(object["continuation"], "continuation", false, vocabulary_));
    }
    PB_ASSIGN_OR_RETURN(item.questions, Questions(object, static_cast<int>(item.context.size())));
    return item;
  }

 private:
  absl::StatusOr<std::vector<Question>> Questions(const Json& object, int context_tokens) const {
    std::vector<Question> questions;
    const auto found = object.find("questions");
    if (found == object.end()) return questions;
    if (!found->is_array()) return absl::InvalidArgumentError("questions is not a list");
    for (const Json& entry : *found) {
      if (!entry.is_object()) return absl::InvalidArgumentError("a question is not an object");
      Question question;
      PB_ASSIGN_OR_RETURN(question.prompt, Tokens(entry, "prompt", false));
      PB_ASSIGN_OR_RETURN(question.answer, Tokens(entry, "answer", false));
      PB_ASSIGN_OR_RETURN(question.tokens_ago, TokensAgo(entry, context_tokens));
      questions.push_back(std::move(question));
    }
    return questions;
  }

  static absl::StatusOr<int> TokensAgo(const Json& question, int context_tokens) {
    const auto found = question.find("tokens_ago");
    if (found == question.end()) return 0;
    if (found->is_number_integer() && *found > 0 && *found < context_tokens) {
      return found->get<int>();
    }
    return absl::InvalidArgumentError(
        absl::StrCat("tokens_ago is ", found->dump(), ": a whole number from 1 to ",
                     context_tokens - 1, ", the context's tokens but the first"));
  }

  absl::StatusOr<std::vector<std::int32_t>> Tokens(const Json& object, const char* key,
                                                   bool starts_text) const {
    const auto found = object.find(key);
    if (found == object.end()) return absl::InvalidArgumentError(absl::StrCat(key, " is missing"));
    PB_ASSIGN_OR_RETURN(auto ids, ReadTokens(*found, key, starts_text, vocabulary_));
    if (ids.empty()) return absl::InvalidArgumentError(absl::StrCat(key, " is empty"));
    return ids;
  }

  const TokenVocabulary& vocabulary_;
};

}  // namespace

absl::StatusOr<std::vector<SuiteItem>> ParseSuite(std::istream& lines, const std::string& name,
                                                  const TokenVocabulary& vocabulary, int limit) {
  const LineReader reader(vocabulary);
  std::vector<SuiteItem> items;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    auto item = reader.Read(line);
    if (!item.ok()) {
      return absl::Status(item.status().code(),
                          absl::StrCat(name, ":", number, ": ", item.status().message()));
    }
    items.push_back(*std::move(item));
    if (limit > 0 && static_cast<int>(items.size()) == limit) break;
  }
  if (items.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ":1: the suite has no lines"));
  }
  return items;
}

absl::StatusOr<std::vector<SuiteItem>> ReadSuite(const std::string& path,
                                                 const TokenVocabulary& vocabulary, int limit) {
  std::ifstream file(path);
  if (!file || file.peek() == std::ifstream::traits_type::eof()) {
    return absl::NotFoundError(absl::StrCat("suite ", path, " cannot be read, or is empty"));
  }
  return ParseSuite(file, path, vocabulary, limit);
}

}  // namespace pinboard::app
