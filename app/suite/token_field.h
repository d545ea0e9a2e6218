// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Tokens in a line of JSON: a list of ids, or text.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pinboard::app {

/// What ids are checked against, and how strings become tokens.
struct TokenVocabulary {
  int size = 0;  // ids are 0 .. size - 1
  /// `starts_text`: the first part of the text, which begins with the model's begin-of-text token;
  /// the other parts continue it. Called for strings only.
  std::function<absl::StatusOr<std::vector<std::int32_t>>(const std::string& text,
                                                          bool starts_text)>
      encode;
};

/// `value` as ids; may be empty. InvalidArgument, one line that names `key`: another type, or an id
/// outside the vocabulary.
absl::StatusOr<std::vector<std::int32_t>> ReadTokens(const nlohmann::json& value, const char* key,
                                                     bool starts_text,
                                                     const TokenVocabulary& vocabulary);

}  // namespace pinboard::app
