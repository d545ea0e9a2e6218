// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Cuts text into the words that BPE merges within.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace pinboard::engine {

/// A compiled pattern; PCRE2 with UTF and Unicode properties, as tokenizer.json's patterns expect.
class SplitPattern {
 public:
  /// InvalidArgument: the pattern does not compile.
  static absl::StatusOr<SplitPattern> Compile(const std::string& pattern);
  SplitPattern(SplitPattern&&) noexcept;
  SplitPattern& operator=(SplitPattern&&) noexcept;
  ~SplitPattern();

  /// Appends `text` cut into matches and what lies between them, in order ("Isolated"). `text` is
  /// UTF-8. ResourceExhausted: the pattern backtracks too far on this text.
  absl::Status Split(const std::string& text, std::vector<std::string>* pieces) const;

 private:
  struct Code;
  explicit SplitPattern(std::unique_ptr<Code> code);
  std::unique_ptr<Code> code_;
};

/// The steps of tokenizer.json's pre_tokenizer: Split (Regex or String, Isolated), Digits,
/// and ByteLevel (with GPT-2's pattern unless use_regex is false) as the last one. Immutable after
/// parsing; thread-safe.
class PreTokenizer {
 public:
  /// Unimplemented: another step or option, by name.
  static absl::StatusOr<PreTokenizer> Parse(const nlohmann::json& object, const std::string& path);

  /// The words of a text, in order; together they are the text (after the prefix space, if asked
  /// for).
  absl::StatusOr<std::vector<std::string>> Split(const std::string& text) const;

 private:
  absl::Status AddStep(const nlohmann::json& step, const std::string& path);
  absl::Status AddPattern(const std::string& pattern, const std::string& path);

  std::vector<SplitPattern> patterns_;
  bool byte_level_ = false;
  bool add_prefix_space_ = false;
};

}  // namespace pinboard::engine
