// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/flags/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pinboard::app {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;

class Flags : public ::testing::Test {
 protected:
  Flags() {
    table_.Section("Things");
    table_.Text("model", "DIR", "Where it lies.", &model_);
    table_.Int("tp", "N", "Ranks.", 1, 64, &tp_);
    table_.Real("budget", "B", "Share.", &budget_);
    table_.Switch("stats", "Say more.", &stats_);
  }

  std::string Refusal(const std::vector<std::string>& arguments) {
    const absl::Status status = table_.Parse(arguments);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
    return std::string(status.message());
  }

  std::string model_ = "here";
  int tp_ = 1;
  double budget_ = 0.1;
  bool stats_ = false;
  FlagTable table_{"pinboard eval"};
};

TEST_F(Flags, ValuesFollowTheirNameOrAnEqualsSign) {
  ASSERT_TRUE(table_.Parse({"--model", "a=b", "--tp=4", "--stats", "--budget", "0.25"}).ok());
  EXPECT_EQ(model_, "a=b");
  EXPECT_EQ(tp_, 4);
  EXPECT_EQ(budget_, 0.25);
  EXPECT_TRUE(stats_);
}

TEST_F(Flags, WhatIsNotGivenKeepsItsDefault) {
  ASSERT_TRUE(table_.Parse({}).ok());
  EXPECT_EQ(model_, "here");
  EXPECT_EQ(tp_, 1);
  EXPECT_FALSE(stats_);
}

TEST_F(Flags, AValueMayBeEmptyOrADash) {
  ASSERT_TRUE(table_.Parse({"--model="}).ok());
  EXPECT_EQ(model_, "");
  ASSERT_TRUE(table_.Parse({"--model", "-"}).ok());
  EXPECT_EQ(model_, "-");
}

TEST_F(Flags, SomeMayBeGivenMoreThanOnce) {
  std::vector<std::string> stops;
  table_.Texts("stop", "TEXT", "Where it ends.", &stops);
  ASSERT_TRUE(table_.Parse({"--stop", "a b", "--tp", "2", "--stop=\n"}).ok());
  EXPECT_THAT(stops, ElementsAre("a b", "\n"));
}

TEST_F(Flags, AnUnknownOptionIsAnsweredWithTheNearestOne) {
  EXPECT_THAT(
      Refusal({"--modle", "x"}),
      Eq("unknown option --modle: did you mean --model? ('pinboard eval --help' lists them)"));
  EXPECT_THAT(Refusal({"--frobnicate"}), Not(HasSubstr("did you mean")));
}

TEST_F(Flags, AnOptionOfAnotherCommandIsRefusedWithWhatToUse) {
  table_.Refuse("when", "of no sense here: use --tp");
  EXPECT_THAT(Refusal({"--when", "x"}), Eq("--when: of no sense here: use --tp"));
  EXPECT_THAT(Refusal({"--when=x"}), Eq("--when: of no sense here: use --tp"));
  EXPECT_THAT(table_.Help(), Not(HasSubstr("when")));
}

TEST_F(Flags, MistakesAreNamed) {
  EXPECT_THAT(Refusal({"--model"}), Eq("--model needs a value: DIR"));
  EXPECT_THAT(Refusal({"--stats=yes"}), Eq("--stats takes no value"));
  EXPECT_THAT(Refusal({"eval"}), HasSubstr("'eval' is no option"));
  EXPECT_THAT(Refusal({"--"}), HasSubstr("'--' is no option"));
  EXPECT_THAT(Refusal({"--tp", "65"}), Eq("--tp: '65' is not a whole number from 1 to 64"));
  EXPECT_THAT(Refusal({"--tp", "2x"}), HasSubstr("'2x' is not a whole number"));
  EXPECT_THAT(Refusal({"--budget", "0.1,0.2"}), Eq("--budget: one number is needed"));
  EXPECT_THAT(Refusal({"--budget", "half"}), Eq("--budget: 'half' is not a number"));
}

TEST_F(Flags, HelpShowsEveryOptionWithItsDefaultAsItWasMade) {
  ASSERT_TRUE(table_.Parse({"--tp", "8"}).ok());
  EXPECT_EQ(table_.Help(),
            "Things\n"
            "  --model DIR             Where it lies. [here]\n"
            "  --tp N                  Ranks. [1]\n"
            "  --budget B              Share. [0.1]\n"
            "  --stats                 Say more.\n");
}

TEST(FlagHelp, ANumberOutsideItsRangeIsNoDefault) {
  FlagTable table("x");
  int tokens = 0;
  table.Int("tokens", "N", "Length.", 1, 9, &tokens);
  EXPECT_EQ(table.Help(), "  --tokens N              Length.\n");
}

TEST(FlagHelp, LongTextsAreWrappedAndIndented) {
  FlagTable table("x");
  std::string target;
  std::string help = "word";
  for (int i = 0; i < 20; ++i) help += " word";
  table.Text("an-option-with-a-long-name", "VALUE", help, &target);
  const std::string indent(26, ' ');
  EXPECT_THAT(table.Help(), HasSubstr("--an-option-with-a-long-name VALUE\n" + indent + "word"));
  EXPECT_THAT(table.Help(), HasSubstr("word\n" + indent + "word word word"));
}

TEST(ParseIds, ReadsTokenIdsAndNamesWhatIsNone) {
  std::vector<std::int32_t> ids;
  ASSERT_TRUE(ParseIds("0,17,305", &ids).ok());
  EXPECT_THAT(ids, ElementsAre(0, 17, 305));
  EXPECT_THAT(std::string(ParseIds("1,,2", &ids).message()), HasSubstr("'' is not a token id"));
  EXPECT_THAT(std::string(ParseIds("1,-2", &ids).message()), HasSubstr("'-2' is not a token id"));
}

}  // namespace
}  // namespace pinboard::app
