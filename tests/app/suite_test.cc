// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/suite/suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "app/suite/suite_path.h"

namespace pinboard::app {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A character is its own token; 0 begins a text.
TokenVocabulary Characters(int size = 128) {
  return {
      size,
      [](const std::string& text, bool starts_text) -> absl::StatusOr<std::vector<std::int32_t>> {
        if (text == "bad") return absl::InvalidArgumentError("cannot be encoded");
        std::vector<std::int32_t> ids(text.begin(), text.end());
        if (starts_text) ids.insert(ids.begin(), 0);
        return ids;
      }};
}

absl::StatusOr<std::vector<SuiteItem>> Parse(const std::string& lines, int limit = 0) {
  std::istringstream stream(lines);
  return ParseSuite(stream, "my.jsonl", Characters(), limit);
}

std::string Refusal(const std::string& lines) {
  const auto items = Parse(lines);
  EXPECT_EQ(items.status().code(), absl::StatusCode::kInvalidArgument) << items.status();
  EXPECT_EQ(items.status().message().find('\n'), absl::string_view::npos);
  return std::string(items.status().message());
}

TEST(Suite, IdsAreTakenAsTheyAre) {
  const auto items =
      Parse(R"({"context":[5,6],"continuation":[7],"questions":[{"prompt":[8],"answer":[9,10]}]})");
  ASSERT_TRUE(items.ok()) << items.status();
  ASSERT_THAT(*items, SizeIs(1));
  EXPECT_THAT(items->front().context, ElementsAre(5, 6));
  EXPECT_THAT(items->front().continuation, ElementsAre(7));
  ASSERT_THAT(items->front().questions, SizeIs(1));
  EXPECT_THAT(items->front().questions[0].prompt, ElementsAre(8));
  EXPECT_THAT(items->front().questions[0].answer, ElementsAre(9, 10));
}

TEST(Suite, OnlyTheContextOfATextBeginsOne) {
  const auto items =
      Parse(R"({"context":"A","continuation":"B","questions":[{"prompt":"C","answer":"D"}]})");
  ASSERT_TRUE(items.ok()) << items.status();
  EXPECT_THAT(items->front().context, ElementsAre(0, 'A'));
  EXPECT_THAT(items->front().continuation, ElementsAre('B'));
  EXPECT_THAT(items->front().questions[0].prompt, ElementsAre('C'));
  EXPECT_THAT(items->front().questions[0].answer, ElementsAre('D'));
}

TEST(Suite, APromptComesBeforeTheContextAndBeginsTheText) {
  const auto items = Parse(R"({"prompt":"AB","context":"C"})");
  ASSERT_TRUE(items.ok()) << items.status();
  EXPECT_THAT(items->front().context, ElementsAre(0, 'A', 'B', 'C'));
  EXPECT_EQ(items->front().prompt_tokens, 3);
  EXPECT_EQ(Parse(R"({"context":[1,2]})")->front().prompt_tokens, 0);
}

TEST(Suite, AQuestionMaySayHowLongAgoItsAnswerWasSaid) {
  const auto items = Parse(
      R"({"context":[1,2,3],"questions":[{"prompt":[8],"answer":[9],"tokens_ago":2},{"prompt":[8],"answer":[9]}]})");
  ASSERT_TRUE(items.ok()) << items.status();
  EXPECT_EQ(items->front().questions[0].tokens_ago, 2);
  EXPECT_EQ(items->front().questions[1].tokens_ago, 0);
  for (const char* wrong : {"0", "3", "-1", "1.5", "\"1\""}) {
    EXPECT_THAT(Refusal(absl::StrCat(
                    R"({"context":[1,2,3],"questions":[{"prompt":[8],"answer":[9],"tokens_ago":)",
                    wrong, "}]}")),
                HasSubstr(absl::StrCat("tokens_ago is ", wrong, ": a whole number from 1 to 2")));
  }
}

TEST(Suite, ContinuationAndQuestionsMayBeLeftOutAndOtherKeysAreIgnored) {
  const auto items = Parse(R"({"context":[1],"id":"x","source":{"a":1}})");
  ASSERT_TRUE(items.ok()) << items.status();
  EXPECT_THAT(items->front().continuation, IsEmpty());
  EXPECT_THAT(items->front().questions, IsEmpty());
}

TEST(Suite, EmptyLinesCountAsLinesAndTheLimitStopsReading) {
  EXPECT_THAT(Refusal("\n{\"context\":[1]}\r\n \nnot json\n"), HasSubstr("my.jsonl:4: "));
  const auto items = Parse("{\"context\":[1]}\n{\"context\":[2]}\nnot json\n", 2);
  ASSERT_TRUE(items.ok()) << items.status();
  EXPECT_THAT(*items, SizeIs(2));
}

TEST(Suite, EveryMistakeNamesFileAndLine) {
  EXPECT_THAT(Refusal("{\"context\":[1]}\n{oops\n"), HasSubstr("my.jsonl:2: not a JSON object"));
  EXPECT_THAT(Refusal("[1,2]"), HasSubstr("my.jsonl:1: not a JSON object"));
  EXPECT_THAT(Refusal(R"({"prompt":[],"context":[1]})"), Eq("my.jsonl:1: prompt is empty"));
  EXPECT_THAT(Refusal("{}"), Eq("my.jsonl:1: context is missing"));
  EXPECT_THAT(Refusal(R"({"context":[]})"), Eq("my.jsonl:1: context is empty"));
  EXPECT_THAT(Refusal(R"({"context":7})"),
              Eq("my.jsonl:1: context is neither a list of token ids nor a string"));
  EXPECT_THAT(Refusal(R"({"context":[1.5]})"),
              Eq("my.jsonl:1: context holds 1.5, which is no token id"));
  EXPECT_THAT(Refusal(R"({"context":[128]})"),
              Eq("my.jsonl:1: token id 128 in context is out of range: the model has 0 to 127"));
  EXPECT_THAT(Refusal(R"({"context":[1],"continuation":[-1]})"),
              HasSubstr("token id -1 in continuation is out of range"));
  EXPECT_THAT(Refusal(R"({"context":[18446744073709551615]})"), HasSubstr("out of range"));
  EXPECT_THAT(Refusal(R"({"context":"bad"})"), Eq("my.jsonl:1: cannot be encoded"));
  EXPECT_THAT(Refusal(R"({"context":[1],"questions":{}})"),
              Eq("my.jsonl:1: questions is not a list"));
  EXPECT_THAT(Refusal(R"({"context":[1],"questions":[3]})"),
              Eq("my.jsonl:1: a question is not an object"));
  EXPECT_THAT(Refusal(R"({"context":[1],"questions":[{"prompt":[1]}]})"),
              Eq("my.jsonl:1: answer is missing"));
  EXPECT_THAT(Refusal(R"({"context":[1],"questions":[{"prompt":[],"answer":[1]}]})"),
              Eq("my.jsonl:1: prompt is empty"));
  EXPECT_THAT(Refusal(""), HasSubstr("the suite has no lines"));
}

TEST(Suite, AFileThatIsNotThereIsNamed) {
  const auto items = ReadSuite("/nowhere/s.jsonl", Characters(), 0);
  EXPECT_EQ(items.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(items.status().message()), HasSubstr("/nowhere/s.jsonl"));
}

TEST(SuitePath, APathIsLeftAlone) {
  EXPECT_EQ(*ResolveSuite("some/file.jsonl"), "some/file.jsonl");
}

TEST(SuitePath, BuiltinsAreFoundAndAnUnknownOneIsAnsweredWithThem) {
  const auto path = ResolveSuite("builtin:said-once");
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_THAT(*path, EndsWith("/said-once.jsonl"));
  const auto unknown = ResolveSuite("builtin:said-twice");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("builtin:said-once"));
}

}  // namespace
}  // namespace pinboard::app
