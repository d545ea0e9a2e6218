// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE as a Hugging Face tokenizer.json describes it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace pinboard::engine {

struct EncodeOptions {
  bool add_special_tokens = true;  // what the post-processor's template adds (BOS)
};

/// Text to token ids and back. Immutable after loading; thread-safe.
///
/// Reads: model BPE (byte-level; merges as "a b" or ["a", "b"]; ignore_merges), added tokens,
/// pre_tokenizer Split, Digits, ByteLevel and sequences of them, decoder ByteLevel, post_processor
/// TemplateProcessing. Anything else is Unimplemented, by name.
class Tokenizer {
 public:
  /// Reads `model_dir`/tokenizer.json.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const std::string& model_dir);
  /// Parses the text of a tokenizer.json; `path` only names it in errors.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Parse(const std::string& text,
                                                          const std::string& path);
  ~Tokenizer();

  /// InvalidArgument: `text` is not UTF-8.
  absl::StatusOr<std::vector<std::int32_t>> Encode(const std::string& text,
                                                   const EncodeOptions& options = {}) const;
  /// Bytes that are no UTF-8 become U+FFFD. OutOfRange: an id is not in the vocabulary.
  absl::StatusOr<std::string> Decode(absl::Span<const std::int32_t> ids,
                                     bool skip_special_tokens = true) const;

  /// Highest id + 1.
  int vocab_size() const;
  bool IsSpecial(std::int32_t id) const;
  /// The bytes a token stands for. Requires 0 <= id < vocab_size().
  const std::string& TokenBytes(std::int32_t id) const;

 private:
  struct Parts;
  explicit Tokenizer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Decodes a stream of tokens, holding back the bytes of a character that is not complete yet.
/// Thread-compatible; `tokenizer` outlives it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer* tokenizer, bool skip_special_tokens = true)
      : tokenizer_(tokenizer), skip_special_tokens_(skip_special_tokens) {}

  /// The text that became complete with this token; may be empty.
  absl::StatusOr<std::string> Push(std::int32_t id);
  /// What is left at the end: U+FFFD for an incomplete character.
  std::string Finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  std::string pending_;
};

}  // namespace pinboard::engine
