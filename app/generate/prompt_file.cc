// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/generate/prompt_file.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "app/generate/drawn_prompt.h"
#include "base/status_macros.h"
#include "base/text_file.h"

namespace pinboard::app {
namespace {

using Json = nlohmann::json;

/// A whole number from `low` to `high`.
template <typename Int>
absl::Status ReadNumber(const Json& value, const std::string& key, Int low, Int high, Int* target) {
  if (!value.is_number_integer() || value < low || value > high) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, " is ", value.dump(), ": a whole number from ", low, " to ", high));
  }
  *target = value.get<Int>();
  return absl::OkStatus();
}

/// Turns one line into a request; errors do not name the line yet.
class LineReader {
 public:
  LineReader(const TokenVocabulary& vocabulary, const GenerationRequest& defaults,
             const PolicyReader& read_policy)
      : vocabulary_(vocabulary), defaults_(defaults), read_policy_(read_policy) {}

  absl::StatusOr<GenerationRequest> Read(const std::string& line, std::size_t index) const {
    const Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) {
      return absl::InvalidArgumentError(
          R"(not a JSON object: a line is {"prompt": ..., "max_tokens": ...})");
    }
    GenerationRequest request = defaults_;
    if (request.sampling.temperature > 0) request.sampling.seed += index;
    if (object.contains("prompt") && object.contains("prompt_tokens")) {
      return absl::InvalidArgumentError("give one of prompt and prompt_tokens");
    }
    for (const auto& [key, value] : object.items()) {
      PB_RETURN_IF_ERROR(ReadField(key, value, index, &request));
    }
    if (request.prompt.empty()) {
      return absl::InvalidArgumentError("prompt is missing or empty: give it some text");
    }
    PB_RETURN_IF_ERROR(CheckSampling(request.sampling));
    return request;
  }

 private:
  absl::Status ReadField(const std::string& key, const Json& value, std::size_t index,
                         GenerationRequest* request) const {
    if (key == "prompt") {
      PB_ASSIGN_OR_RETURN(request->prompt,
                          ReadTokens(value, "prompt", /*starts_text=*/true, vocabulary_));
      return absl::OkStatus();
    }
    if (key == "prompt_tokens") {
      int tokens = 0;
      PB_RETURN_IF_ERROR(ReadNumber(value, key, 1, kMostDrawnTokens, &tokens));
      request->prompt = DrawPrompt(tokens, vocabulary_.size, index);
      return absl::OkStatus();
    }
    if (key == "max_tokens") return ReadNumber(value, key, 1, 1 << 20, &request->max_tokens);
    if (key == "seed") {
      return ReadNumber<std::uint64_t>(value, key, 0, std::numeric_limits<std::int32_t>::max(),
                                       &request->sampling.seed);
    }
    if (key == "policy") {
      if (!value.is_string()) return absl::InvalidArgumentError("policy is not a string");
      PB_ASSIGN_OR_RETURN(request->method, read_policy_(value.get<std::string>()));
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "'", key,
        "' is not known: a line has prompt or prompt_tokens, max_tokens, policy and seed"));
  }

  const TokenVocabulary& vocabulary_;
  const GenerationRequest& defaults_;
  const PolicyReader& read_policy_;
};

}  // namespace

absl::StatusOr<std::vector<GenerationRequest>> ParsePrompts(std::istream& lines,
                                                            const std::string& name,
                                                            const TokenVocabulary& vocabulary,
                                                            const GenerationRequest& defaults,
                                                            const PolicyReader& read_policy) {
  const LineReader reader(vocabulary, defaults, read_policy);
  std::vector<GenerationRequest> requests;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    auto request = reader.Read(line, requests.size());
    if (!request.ok()) {
      return absl::Status(request.status().code(),
                          absl::StrCat(name, ":", number, ": ", request.status().message()));
    }
    requests.push_back(*std::move(request));
  }
  if (requests.empty()) return absl::InvalidArgumentError(absl::StrCat(name, ":1: no prompts"));
  return requests;
}

absl::StatusOr<std::vector<GenerationRequest>> ReadPrompts(const std::string& path,
                                                           const TokenVocabulary& vocabulary,
                                                           const GenerationRequest& defaults,
                                                           const PolicyReader& read_policy) {
  auto text = ReadTextFile(path);
  if (!text.ok()) {
    return absl::Status(text.status().code(), absl::StrCat("--prompts: ", text.status().message()));
  }
  std::istringstream lines(*std::move(text));
  return ParsePrompts(lines, path, vocabulary, defaults, read_policy);
}

}  // namespace pinboard::app
