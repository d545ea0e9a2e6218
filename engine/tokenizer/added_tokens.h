// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Tokens that are found in the text before it is cut into words.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pinboard::engine {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;
};

/// A part of a text: a token that was found, or text between (id -1).
struct TextPart {
  std::int32_t id = -1;
  std::string text;
};

/// Immutable after parsing; thread-safe.
class AddedTokens {
 public:
  /// From tokenizer.json's "added_tokens" (may be null). Unimplemented: single_word, lstrip,
  /// rstrip.
  static absl::StatusOr<AddedTokens> Parse(const nlohmann::json& list, const std::string& path);

  /// Leftmost match first, the longest of those that begin there.
  std::vector<TextPart> Split(const std::string& text) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  const AddedToken* Match(const std::string& text, std::size_t offset) const;

  std::vector<AddedToken> tokens_;        // longest first
  std::vector<std::size_t> starts_[256];  // by first byte: indices of tokens_
};

}  // namespace pinboard::engine
