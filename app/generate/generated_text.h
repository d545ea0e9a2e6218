// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Tokens as they are made, as text that may be shown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "app/generate/stop_texts.h"
#include "engine/tokenizer/tokenizer.h"

namespace pinboard::app {

/// Decodes a stream of tokens up to a stop text. The same tokens stop at the same one on every
/// rank. Thread-compatible; `tokenizer` outlives it, and may be null where nothing is pushed.
class GeneratedText {
 public:
  GeneratedText(const engine::Tokenizer* tokenizer, std::vector<std::string> stops)
      : decoder_(tokenizer), stops_(std::move(stops)) {}

  /// The text that may be shown since the last call; may be empty. OutOfRange: no token of the
  /// vocabulary.
  absl::StatusOr<std::string> Push(std::int32_t id);
  /// The rest, after the last token.
  std::string Finish();

  /// A stop text came up: what follows is of no interest.
  bool stopped() const { return stops_.found(); }
  /// All that may be shown so far.
  const std::string& text() const { return text_; }

 private:
  engine::StreamDecoder decoder_;
  StopTexts stops_;
  std::string text_;
};

}  // namespace pinboard::app
