// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer/tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "engine/json_file.h"
#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/normalization.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/template_processor.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;

constexpr std::uint32_t kReplacement = 0xfffd;

/// The field, or null where it is absent.
json Field(const json& object, const char* name) {
  const auto field = object.find(name);
  return field == object.end() ? json() : *field;
}

absl::Status CheckDecoder(const json& decoder, const std::string& path) {
  if (decoder.is_object() && Field(decoder, "type") == "ByteLevel") return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(path, ": decoder ", Field(decoder, "type").dump(),
                                               " is not supported, ByteLevel is"));
}

absl::StatusOr<bool> ParseNormalizer(const json& normalizer, const std::string& path) {
  if (normalizer.is_null()) return false;
  if (normalizer.is_object() && Field(normalizer, "type") == "NFC") return true;
  return absl::UnimplementedError(
      absl::StrCat(path, ": normalizer ", normalizer.dump(), " is not supported, NFC is"));
}

absl::Status CheckText(const std::string& text, bool normalise) {
  for (std::size_t offset = 0; offset < text.size();) {
    bool complete = true;
    const Utf8Character character = NextCharacter(text, offset, &complete);
    if (character.code_point == kNoCharacter) {
      return absl::InvalidArgumentError(absl::StrCat("the text is not UTF-8 at byte ", offset));
    }
    if (normalise && !IsNormalisedAlone(character.code_point)) {
      return absl::UnimplementedError(
          absl::StrFormat("the text has U+%04X at byte %d, which this tokenizer may have to "
                          "normalise (NFC); that is not supported",
                          character.code_point, offset));
    }
    offset += character.bytes;
  }
  return absl::OkStatus();
}

/// Moves what is complete from `pending` to the result.
std::string TakeComplete(std::string* pending) {
  std::string text;
  std::size_t offset = 0;
  while (offset < pending->size()) {
    bool complete = true;
    const Utf8Character character = NextCharacter(*pending, offset, &complete);
    if (!complete) break;
    AppendUtf8(character.code_point == kNoCharacter ? kReplacement : character.code_point, &text);
    offset += character.bytes;
  }
  pending->erase(0, offset);
  return text;
}

}  // namespace

struct Tokenizer::Parts {
  struct Entry {
    bool special = false;
    std::string bytes;
  };

  Parts(Bpe bpe, AddedTokens added, PreTokenizer pre_tokenizer, SpecialTokenTemplate around,
        bool normalise);

  Entry* At(std::int32_t id) {
    entries.resize(std::max<std::size_t>(entries.size(), id + 1));
    return &entries[id];
  }

  Bpe bpe;
  AddedTokens added;
  PreTokenizer pre_tokenizer;
  SpecialTokenTemplate around;
  bool normalise;
  std::vector<Entry> entries;  // by id
};

Tokenizer::Parts::Parts(Bpe the_bpe, AddedTokens the_added, PreTokenizer the_pre_tokenizer,
                        SpecialTokenTemplate the_around, bool with_normaliser)
    : bpe(std::move(the_bpe)),
      added(std::move(the_added)),
      pre_tokenizer(std::move(the_pre_tokenizer)),
      around(std::move(the_around)),
      normalise(with_normaliser) {
  for (const auto& [token, id] : bpe.vocabulary()) {
    *At(id) = {false, ByteAlphabet::Get().Decode(token).value_or(token)};
  }
  for (const AddedToken& token : added.tokens()) *At(token.id) = {token.special, token.content};
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(const std::string& model_dir) {
  const std::string path = absl::StrCat(model_dir, "/tokenizer.json");
  PB_ASSIGN_OR_RETURN(const std::string text,
                      ReadFile(path, "name a model directory with its tokenizer.json"));
  return Parse(text, path);
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Parse(const std::string& text,
                                                            const std::string& path) {
  PB_ASSIGN_OR_RETURN(const json object, ParseJsonObject(text, path));
  PB_RETURN_IF_ERROR(CheckDecoder(Field(object, "decoder"), path));
  PB_ASSIGN_OR_RETURN(const bool normalise, ParseNormalizer(Field(object, "normalizer"), path));
  PB_ASSIGN_OR_RETURN(Bpe bpe, Bpe::Parse(Field(object, "model"), path));
  PB_ASSIGN_OR_RETURN(AddedTokens added, AddedTokens::Parse(Field(object, "added_tokens"), path));
  PB_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer,
                      PreTokenizer::Parse(Field(object, "pre_tokenizer"), path));
  PB_ASSIGN_OR_RETURN(SpecialTokenTemplate around,
                      ParseTemplate(Field(object, "post_processor"), path));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::make_unique<Parts>(
      std::move(bpe), std::move(added), std::move(pre_tokenizer), std::move(around), normalise)));
}

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::vector<std::int32_t>> Tokenizer::Encode(const std::string& text,
                                                            const EncodeOptions& options) const {
  PB_RETURN_IF_ERROR(CheckText(text, parts_->normalise));
  std::vector<std::int32_t> ids;
  const auto append = [&ids](const std::vector<std::int32_t>& more) {
    ids.insert(ids.end(), more.begin(), more.end());
  };
  if (options.add_special_tokens) append(parts_->around.before);
  for (const TextPart& part : parts_->added.Split(text)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    PB_ASSIGN_OR_RETURN(const std::vector<std::string> words,
                        parts_->pre_tokenizer.Split(part.text));
    for (const std::string& word : words) parts_->bpe.Encode(word, &ids);
  }
  if (options.add_special_tokens) append(parts_->around.after);
  return ids;
}

absl::StatusOr<std::string> Tokenizer::Decode(absl::Span<const std::int32_t> ids,
                                              bool skip_special_tokens) const {
  StreamDecoder decoder(this, skip_special_tokens);
  std::string text;
  for (const std::int32_t id : ids) {
    PB_ASSIGN_OR_RETURN(const std::string piece, decoder.Push(id));
    text += piece;
  }
  return text + decoder.Finish();
}

int Tokenizer::vocab_size() const { return static_cast<int>(parts_->entries.size()); }

bool Tokenizer::IsSpecial(std::int32_t id) const {
  return id >= 0 && id < vocab_size() && parts_->entries[id].special;
}

const std::string& Tokenizer::TokenBytes(std::int32_t id) const {
  return parts_->entries[id].bytes;
}

absl::StatusOr<std::string> StreamDecoder::Push(std::int32_t id) {
  if (id < 0 || id >= tokenizer_->vocab_size()) {
    return absl::OutOfRangeError(absl::StrCat("token id ", id, " is outside the tokenizer's ",
                                              tokenizer_->vocab_size(), " tokens"));
  }
  if (skip_special_tokens_ && tokenizer_->IsSpecial(id)) return std::string();
  pending_ += tokenizer_->TokenBytes(id);
  return TakeComplete(&pending_);
}

std::string StreamDecoder::Finish() {
  std::string text;
  if (!pending_.empty()) AppendUtf8(kReplacement, &text);
  pending_.clear();
  return text;
}

}  // namespace pinboard::engine
