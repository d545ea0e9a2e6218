// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The BPE model: a word's bytes are merged pair by pair, the pair learnt first goes first.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace pinboard::engine {

/// Ids above this are refused: a damaged file must not size a table.
inline constexpr std::int64_t kMaxTokenId = (1 << 24) - 1;

/// Immutable after parsing; thread-safe.
class Bpe {
 public:
  /// From tokenizer.json's "model"; `path` only names it in errors. InvalidArgument: the vocabulary
  /// lacks one of the 256 byte tokens, or a merge names a token that is not there. Unimplemented: a
  /// feature, by name.
  static absl::StatusOr<Bpe> Parse(const nlohmann::json& model, const std::string& path);

  /// Appends the tokens of one pre-token (raw bytes). n bytes cost n log n.
  void Encode(const std::string& word, std::vector<std::int32_t>* ids) const;

  /// Tokens as they are written, in the byte-level alphabet.
  const absl::flat_hash_map<std::string, std::int32_t>& vocabulary() const { return vocabulary_; }

 private:
  struct Merge {
    std::int32_t rank = 0;  // lower goes first
    std::int32_t result = 0;
  };
  using Pair = std::pair<std::int32_t, std::int32_t>;

  absl::Status ParseVocabulary(const nlohmann::json& model, const std::string& path);
  absl::Status ParseMerges(const nlohmann::json& model, const std::string& path);

  absl::flat_hash_map<std::string, std::int32_t> vocabulary_;
  absl::flat_hash_map<Pair, Merge> merges_;
  std::int32_t byte_ids_[256] = {};
  bool ignore_merges_ = false;  // a word that is a token stays whole
};

}  // namespace pinboard::engine
