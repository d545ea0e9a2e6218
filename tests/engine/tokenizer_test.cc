// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/json_file.h"
#include "engine/tokenizer/byte_alphabet.h"

namespace pinboard::engine {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Ids = std::vector<std::int32_t>;

/// The 256 bytes are tokens 0 ... 255; merges get the ids behind them.
json BytesTokenizer(const std::vector<std::pair<std::string, std::string>>& merges) {
  json vocabulary, list = json::array();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[ByteAlphabet::Get().Encode(std::string(1, static_cast<char>(byte)))] = byte;
  }
  for (const auto& [left, right] : merges) {
    vocabulary[left + right] = vocabulary.size();
    list.push_back(left + " " + right);
  }
  return {{"added_tokens", json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", list}}}};
}

std::unique_ptr<Tokenizer> Parse(const json& object) {
  auto tokenizer = Tokenizer::Parse(object.dump(), "tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

std::string ErrorOf(const json& object) {
  return std::string(Tokenizer::Parse(object.dump(), "T").status().message());
}

Ids Encode(const Tokenizer& tokenizer, const std::string& text, bool special = true) {
  auto ids = tokenizer.Encode(text, {.add_special_tokens = special});
  EXPECT_TRUE(ids.ok()) << ids.status();
  return *std::move(ids);
}

std::string SourcePath(const std::string& path) {
  const char* root = std::getenv("PINBOARD_SOURCE_DIR");
  return std::string(root == nullptr ? "." : root) + "/" + path;
}

TEST(TokenizerTest, EncodesAndDecodesAsTheTokenizersLibrary) {
  for (const std::string model : {"models/tiny-llama", "models/tiny-deepseek"}) {
    const auto tokenizer = Tokenizer::Load(SourcePath(model));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    const std::string path = SourcePath("tests/testdata/golden/tokenizer.json");
    const json golden = *ParseJsonObject(*ReadFile(path, "run eval/golden.py"), path);
    for (const json& test : golden["cases"]) {
      const auto text = test["text"].get<std::string>();
      Ids ids = Encode(**tokenizer, text, false);
      EXPECT_EQ(ids, test["ids"].get<Ids>()) << text;
      EXPECT_EQ(*(*tokenizer)->Decode(ids, false), test["decoded"].get<std::string>());
      ids.insert(ids.begin(), golden["begin_id"].get<std::int32_t>());
      EXPECT_EQ(Encode(**tokenizer, text), ids);
    }
  }
}

TEST(TokenizerTest, EveryByteAndEveryCharacterComesBack) {
  const auto tokenizer = Parse(BytesTokenizer({}));
  std::string text;
  for (std::uint32_t c = 1; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
    if (c < 0xd800 || c > 0xdfff) AppendUtf8(c, &text);
  }
  EXPECT_EQ(*tokenizer->Decode(Encode(*tokenizer, text)), text);
}

TEST(TokenizerTest, TheMergeLearntFirstGoesFirstAndTheLeftmostOfEquals) {
  EXPECT_THAT(Encode(*Parse(BytesTokenizer({{"b", "c"}, {"a", "b"}})), "abc"),
              ElementsAre('a', 256));
  EXPECT_THAT(Encode(*Parse(BytesTokenizer({{"a", "b"}, {"b", "c"}})), "abc"),
              ElementsAre(256, 'c'));
  EXPECT_THAT(Encode(*Parse(BytesTokenizer({{"a", "a"}})), "aaaaa"), ElementsAre(256, 256, 'a'));
  EXPECT_THAT(Encode(*Parse(BytesTokenizer({{"a", "a"}, {"aa", "aa"}})), "aaaaa"),
              ElementsAre(257, 'a'));
}

/// The definition, step by step: the lowest-ranked pair anywhere is merged, all over again.
Ids PlainBpe(const std::string& word,
             const std::vector<std::pair<std::string, std::string>>& merges) {
  std::vector<std::string> parts;
  for (const char c : word) parts.emplace_back(1, c);
  for (bool merged = true; merged;) {
    merged = false;
    for (const auto& [left, right] : merges) {
      for (std::size_t i = 0; i + 1 < parts.size() && !merged; ++i) {
        if (parts[i] != left || parts[i + 1] != right) continue;
        parts[i] += right;
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        merged = true;
      }
      if (merged) break;
    }
  }
  Ids ids;
  for (const std::string& part : parts) {
    const auto merge = std::find_if(merges.begin(), merges.end(), [&](const auto& pair) {
      return pair.first + pair.second == part;
    });
    ids.push_back(merge == merges.end() ? part[0]
                                        : static_cast<std::int32_t>(merge - merges.begin()) + 256);
  }
  return ids;
}

TEST(TokenizerTest, RandomWordsMergeAsDefined) {
  constexpr std::uint64_t kSeed = 20260625;
  SCOPED_TRACE(kSeed);
  const std::vector<std::pair<std::string, std::string>> merges = {
      {"a", "b"},  {"b", "a"},    {"ab", "ab"},   {"c", "ab"}, {"a", "a"},
      {"ba", "c"}, {"abab", "a"}, {"cab", "cab"}, {"aa", "aa"}};
  const auto tokenizer = Parse(BytesTokenizer(merges));
  std::mt19937_64 random(kSeed);
  for (int round = 0; round < 500; ++round) {
    std::string word(random() % 24 + 1, 'a');
    for (char& c : word) c = static_cast<char>('a' + random() % 3);
    EXPECT_EQ(Encode(*tokenizer, word), PlainBpe(word, merges)) << word;
  }
}

TEST(TokenizerTest, MergesMayBeArrays) {
  json object = BytesTokenizer({});
  object["model"]["vocab"]["ab"] = 256;
  object["model"]["merges"] = json::array({json::array({"a", "b"})});
  EXPECT_THAT(Encode(*Parse(object), "ab"), ElementsAre(256));
}

TEST(TokenizerTest, IgnoreMergesKeepsAWholeTokenWhole) {
  json object = BytesTokenizer({{"a", "b"}});
  object["model"]["vocab"]["abc"] = 257;
  EXPECT_THAT(Encode(*Parse(object), "abc"), ElementsAre(256, 'c'));
  object["model"]["ignore_merges"] = true;
  EXPECT_THAT(Encode(*Parse(object), "abc"), ElementsAre(257));
}

TEST(TokenizerTest, Gpt2PatternKeepsWordsApart) {
  const auto tokenizer = Parse(BytesTokenizer({{"a", "Ġ"}, {"Ġ", "b"}, {"b", "1"}}));
  EXPECT_THAT(Encode(*tokenizer, "a b1"), ElementsAre('a', 257, '1'));
}

TEST(TokenizerTest, DigitsAndLiteralSplitsApply) {
  json object = BytesTokenizer({{"1", "2"}, {"a", "+"}});
  object["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Digits"}, {"individual_digits", true}},
        {{"type", "Split"}, {"pattern", {{"String", "+"}}}, {"behavior", "Isolated"}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  EXPECT_THAT(Encode(*Parse(object), "12a+"), ElementsAre('1', '2', 'a', '+'));
}

TEST(TokenizerTest, APrefixSpaceIsAddedOnce) {
  json object = BytesTokenizer({});
  object["pre_tokenizer"]["add_prefix_space"] = true;
  const auto tokenizer = Parse(object);
  EXPECT_THAT(Encode(*tokenizer, "a"), ElementsAre(' ', 'a'));
  EXPECT_THAT(Encode(*tokenizer, " a"), ElementsAre(' ', 'a'));
}

json WithSpecials() {
  json object = BytesTokenizer({});
  object["added_tokens"] = {{{"id", 300}, {"content", "<s>"}, {"special", true}},
                            {{"id", 301}, {"content", "<s>>"}, {"special", true}},
                            {{"id", 302}, {"content", "word"}, {"special", false}}};
  object["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        {{"type", "TemplateProcessing"},
         {"single",
          {{{"SpecialToken", {{"id", "<s>"}}}},
           {{"Sequence", {{"id", "A"}}}},
           {{"SpecialToken", {{"id", "<s>>"}}}}}},
         {"special_tokens", {{"<s>", {{"ids", {300}}}}, {"<s>>", {{"ids", {301}}}}}}}}}};
  return object;
}

TEST(TokenizerTest, AddedTokensAreFoundInTextTheLongestFirst) {
  const auto tokenizer = Parse(WithSpecials());
  EXPECT_THAT(Encode(*tokenizer, "a<s>>b<s>wordy", false),
              ElementsAre('a', 301, 'b', 300, 302, 'y'));
  EXPECT_EQ(tokenizer->vocab_size(), 303);
}

TEST(TokenizerTest, TheTemplateAddsItsTokensOnlyWhenAsked) {
  const auto tokenizer = Parse(WithSpecials());
  EXPECT_THAT(Encode(*tokenizer, "a"), ElementsAre(300, 'a', 301));
  EXPECT_THAT(Encode(*tokenizer, "a", false), ElementsAre('a'));
}

TEST(TokenizerTest, SpecialTokensAreSkippedInTextWhenAsked) {
  const auto tokenizer = Parse(WithSpecials());
  const Ids ids = {300, 'a', 302, 301};
  EXPECT_EQ(*tokenizer->Decode(ids), "aword");
  EXPECT_EQ(*tokenizer->Decode(ids, false), "<s>aword<s>>");
}

TEST(StreamDecoderTest, HoldsACharacterBackUntilItIsComplete) {
  const auto tokenizer = Parse(BytesTokenizer({}));
  StreamDecoder decoder(tokenizer.get());
  const std::string text = "aé漢🙂";
  std::string joined;
  int silent = 0;
  for (const char byte : text) {
    const std::string piece = *decoder.Push(static_cast<unsigned char>(byte));
    silent += piece.empty() ? 1 : 0;
    joined += piece;
  }
  EXPECT_EQ(joined, text);
  EXPECT_EQ(silent, 1 + 2 + 3);
  EXPECT_EQ(decoder.Finish(), "");
}

TEST(StreamDecoderTest, WhatIsNoCharacterBecomesAReplacement) {
  const auto tokenizer = Parse(BytesTokenizer({}));
  const std::string replacement = "\xef\xbf\xbd";
  EXPECT_EQ(*tokenizer->Decode(Ids{0xff, 'a'}), replacement + "a");
  EXPECT_EQ(*tokenizer->Decode(Ids{0xe6, 0xbc, 'a'}), replacement + "a");
  EXPECT_EQ(*tokenizer->Decode(Ids{'a', 0xe6, 0xbc}), "a" + replacement);
  EXPECT_EQ(*tokenizer->Decode(Ids{0xc0, 0x80}), replacement + replacement);
  EXPECT_EQ(*tokenizer->Decode(Ids{0xed, 0xa0, 0x80}), replacement + replacement + replacement);
}

TEST(StreamDecoderTest, AnIdOutsideTheVocabularyIsAnError) {
  const auto tokenizer = Parse(BytesTokenizer({}));
  EXPECT_EQ(tokenizer->Decode(Ids{256}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(tokenizer->Decode(Ids{-1}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(TokenizerTest, TextThatIsNoUtf8IsRefused) {
  const auto tokenizer = Parse(BytesTokenizer({}));
  EXPECT_EQ(tokenizer->Encode("a\xff").status().message(), "the text is not UTF-8 at byte 1");
  EXPECT_FALSE(tokenizer->Encode("a\xe6\xbc").ok());
}

TEST(TokenizerTest, NfcTextPassesAndTextThatMayNotBeIsRefused) {
  json object = BytesTokenizer({});
  object["normalizer"] = {{"type", "NFC"}};
  const auto tokenizer = Parse(object);
  const std::string text = "naïve Straße Привет 漢字かな 한국어 – €";
  EXPECT_EQ(*tokenizer->Decode(Encode(*tokenizer, text)), text);
  EXPECT_THAT(std::string(tokenizer->Encode("e\u0301").status().message()), HasSubstr("U+0301"));
}

TEST(TokenizerTest, WhatIsNotSupportedIsNamed) {
  const auto with = [](const char* pointer, const json& value) {
    json object = BytesTokenizer({{"a", "b"}});
    object[json::json_pointer(pointer)] = value;
    return ErrorOf(object);
  };
  EXPECT_THAT(with("/model/type", "Unigram"), HasSubstr("Unigram"));
  EXPECT_THAT(with("/model/byte_fallback", true), HasSubstr("byte_fallback"));
  EXPECT_THAT(with("/model/dropout", 0.1), HasSubstr("dropout"));
  EXPECT_THAT(with("/normalizer", {{"type", "Lowercase"}}), HasSubstr("Lowercase"));
  EXPECT_THAT(with("/decoder", {{"type", "WordPiece"}}), HasSubstr("WordPiece"));
  EXPECT_THAT(with("/pre_tokenizer", {{"type", "Metaspace"}}), HasSubstr("Metaspace"));
  EXPECT_THAT(with("/pre_tokenizer", nullptr), HasSubstr("pre-tokenizer null"));
  EXPECT_THAT(with("/post_processor", {{"type", "BertProcessing"}}), HasSubstr("BertProcessing"));
  EXPECT_THAT(with("/added_tokens", {{{"id", 9}, {"content", "x"}, {"lstrip", true}}}),
              HasSubstr("lstrip"));
}

TEST(TokenizerTest, DamagedFilesGiveOneLine) {
  const auto without = [](const char* name) {
    json object = BytesTokenizer({{"a", "b"}});
    object["model"].erase(name);
    return ErrorOf(object);
  };
  EXPECT_EQ(without("vocab"), "T: the model has no \"vocab\"");
  EXPECT_EQ(without("merges"), "T: the model has no \"merges\"");
  json object = BytesTokenizer({});
  object["model"]["vocab"].erase("a");
  EXPECT_THAT(ErrorOf(object), HasSubstr("no token for byte 97"));
  object = BytesTokenizer({});
  object["model"]["merges"] = {"a b"};
  EXPECT_THAT(ErrorOf(object), HasSubstr("merge 0"));
  object["model"]["merges"] = {7};
  EXPECT_THAT(ErrorOf(object), HasSubstr("merge 0"));
  object = BytesTokenizer({});
  object["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}};
  EXPECT_THAT(ErrorOf(object), HasSubstr("does not compile"));
  EXPECT_THAT(std::string(Tokenizer::Parse("{\"model\":", "T").status().message()),
              HasSubstr("not a JSON object"));
  EXPECT_EQ(Tokenizer::Load("/nonexistent").status().code(), absl::StatusCode::kNotFound);
}

TEST(TokenizerTest, ALongWordTakesNoQuadraticTime) {
  const auto tokenizer = Parse(BytesTokenizer({{"a", "a"}, {"aa", "aa"}}));
  EXPECT_EQ(Encode(*tokenizer, std::string(1 << 19, 'a')).size(), 1U << 17);
}

}  // namespace
}  // namespace pinboard::engine
