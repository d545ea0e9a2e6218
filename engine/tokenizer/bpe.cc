// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer/bpe.h"

#include <nlohmann/json.hpp>
#include <queue>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "engine/tokenizer/byte_alphabet.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;

absl::Status Invalid(const std::string& path, const std::string& problem) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
}

bool IsSet(const json& object, const char* name) {
  const auto field = object.find(name);
  return field != object.end() && !field->is_null() && *field != false && *field != "" &&
         *field != 0.0;
}

/// "a b" or ["a", "b"].
bool SplitMerge(const json& merge, std::string* left, std::string* right) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    *left = merge[0].get<std::string>();
    *right = merge[1].get<std::string>();
    return true;
  }
  if (!merge.is_string()) return false;
  const auto text = merge.get<std::string>();
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return false;
  *left = text.substr(0, space);
  *right = text.substr(space + 1);
  return true;
}

/// A token of a word while it is merged: a doubly linked list inside an array.
struct Symbol {
  std::int32_t id = 0;
  int previous = -1;
  int next = -1;
  bool merged_away = false;
};

/// A pair that may be merged; the lowest rank goes first, then the leftmost.
struct Candidate {
  std::int32_t rank = 0;
  int left = 0;
  std::int32_t left_id = 0;
  std::int32_t right_id = 0;
  std::int32_t result = 0;

  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

}  // namespace

absl::StatusOr<Bpe> Bpe::Parse(const json& model, const std::string& path) {
  const auto type = model.find("type");
  if (type != model.end() && *type != "BPE") {
    return absl::UnimplementedError(
        absl::StrCat(path, ": tokenizer model ", type->dump(), " is not supported, BPE is"));
  }
  for (const char* name :
       {"dropout", "byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!IsSet(model, name)) continue;
    return absl::UnimplementedError(
        absl::StrCat(path, ": the BPE option \"", name, "\" is not supported"));
  }
  Bpe bpe;
  bpe.ignore_merges_ = IsSet(model, "ignore_merges");
  PB_RETURN_IF_ERROR(bpe.ParseVocabulary(model, path));
  PB_RETURN_IF_ERROR(bpe.ParseMerges(model, path));
  return bpe;
}

absl::Status Bpe::ParseVocabulary(const json& model, const std::string& path) {
  const auto vocabulary = model.find("vocab");
  if (vocabulary == model.end() || !vocabulary->is_object()) {
    return Invalid(path, "the model has no \"vocab\"");
  }
  for (const auto& [token, id] : vocabulary->items()) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 ||
        id.get<std::int64_t>() > kMaxTokenId) {
      return Invalid(path, absl::StrCat("token ", token, " has no valid id"));
    }
    vocabulary_.emplace(token, id.get<std::int32_t>());
  }
  for (int byte = 0; byte < 256; ++byte) {
    const auto found =
        vocabulary_.find(ByteAlphabet::Get().Encode(std::string(1, static_cast<char>(byte))));
    if (found == vocabulary_.end()) {
      return Invalid(path, absl::StrCat("the vocabulary has no token for byte ", byte,
                                        "; only byte-level BPE is supported"));
    }
    byte_ids_[byte] = found->second;
  }
  return absl::OkStatus();
}

absl::Status Bpe::ParseMerges(const json& model, const std::string& path) {
  const auto merges = model.find("merges");
  if (merges == model.end() || !merges->is_array()) {
    return Invalid(path, "the model has no \"merges\"");
  }
  std::int32_t rank = 0;
  for (const json& merge : *merges) {
    std::string left, right;
    if (!SplitMerge(merge, &left, &right)) {
      return Invalid(path, absl::StrCat("merge ", rank, " is no pair of tokens"));
    }
    const auto a = vocabulary_.find(left), b = vocabulary_.find(right);
    const auto result = vocabulary_.find(absl::StrCat(left, right));
    if (a == vocabulary_.end() || b == vocabulary_.end() || result == vocabulary_.end()) {
      return Invalid(path, absl::StrCat("merge ", rank,
                                        " names a token that is not in the "
                                        "vocabulary"));
    }
    merges_.insert_or_assign(Pair(a->second, b->second), Merge{rank++, result->second});
  }
  return absl::OkStatus();
}

void Bpe::Encode(const std::string& word, std::vector<std::int32_t>* ids) const {
  if (ignore_merges_) {
    const auto whole = vocabulary_.find(ByteAlphabet::Get().Encode(word));
    if (whole != vocabulary_.end()) {
      ids->push_back(whole->second);
      return;
    }
  }
  std::vector<Symbol> symbols(word.size());
  std::priority_queue<Candidate> candidates;
  const auto consider = [&](int left) {
    if (left < 0 || symbols[left].next < 0) return;
    const Pair pair(symbols[left].id, symbols[symbols[left].next].id);
    const auto merge = merges_.find(pair);
    if (merge == merges_.end()) return;
    candidates.push({merge->second.rank, left, pair.first, pair.second, merge->second.result});
  };
  const int size = static_cast<int>(word.size());
  for (int i = 0; i < size; ++i) {
    symbols[i] = {byte_ids_[static_cast<unsigned char>(word[i])], i - 1, i + 1 < size ? i + 1 : -1};
  }
  for (int i = 0; i < size; ++i) consider(i);
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.left];
    if (left.merged_away || left.next < 0 || left.id != best.left_id ||
        symbols[left.next].id != best.right_id) {
      continue;  // one of the two has been merged since
    }
    Symbol& right = symbols[left.next];
    right.merged_away = true;
    left.id = best.result;
    left.next = right.next;
    if (left.next >= 0) symbols[left.next].previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
  for (int i = 0; i >= 0 && i < size; i = symbols[i].next) ids->push_back(symbols[i].id);
}

}  // namespace pinboard::engine
