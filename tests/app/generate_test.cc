// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which token comes next, and where a text ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>

#include "app/generate/generated_text.h"
#include "app/generate/sampler.h"
#include "app/generate/stop_texts.h"

namespace pinboard::app {
namespace {

using ::testing::HasSubstr;

/// Likelihoods 8 : 4 : 2 : 1 : 1 at temperature 1.
std::vector<TokenCandidate> Candidates() {
  const auto logit = [](double likelihood) { return static_cast<float>(std::log(likelihood)); };
  return {{30, logit(8)}, {10, logit(4)}, {50, logit(2)}, {20, logit(1)}, {40, logit(1)}};
}

/// How often each token comes up in 16,000 draws, per 16.
std::map<std::int32_t, double> Shares(const SamplingOptions& options) {
  constexpr int kDraws = 16000;
  Sampler sampler(options);
  std::map<std::int32_t, double> shares;
  for (int i = 0; i < kDraws; ++i) shares[sampler.Next(Candidates())] += 16.0 / kDraws;
  return shares;
}

TEST(SamplerTest, WithoutATemperatureItTakesTheBest) {
  Sampler sampler({});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(sampler.Next(Candidates()), 30);
}

TEST(SamplerTest, DrawsFollowTheSoftmax) {
  auto shares = Shares({.temperature = 1.0, .seed = 1});
  EXPECT_NEAR(shares[30], 8, 0.3);
  EXPECT_NEAR(shares[10], 4, 0.3);
  EXPECT_NEAR(shares[50], 2, 0.3);
  EXPECT_NEAR(shares[20], 1, 0.3);
  EXPECT_NEAR(shares[40], 1, 0.3);
}

TEST(SamplerTest, TemperatureFlattensAndSharpens) {
  // The logits halved: likelihoods to the power of one half.
  const double sum = std::sqrt(8) + 2 + std::sqrt(2) + 2;
  EXPECT_NEAR(Shares({.temperature = 2.0})[30], 16 * std::sqrt(8) / sum, 0.3);
  EXPECT_NEAR(Shares({.temperature = 0.5})[30], 16 * 64.0 / (64 + 16 + 4 + 2), 0.3);
  EXPECT_NEAR(Shares({.temperature = 1e-30})[30], 16, 1e-9);
}

TEST(SamplerTest, TopKCutsTheTail) {
  auto shares = Shares({.temperature = 1.0, .top_k = 2});
  EXPECT_EQ(shares.size(), 2U);
  EXPECT_NEAR(shares[30], 16 * 8 / 12.0, 0.3);
  EXPECT_EQ(Shares({.temperature = 1.0, .top_k = 1}).size(), 1U);
}

TEST(SamplerTest, TopPKeepsTheShortestRunThatReachesIt) {
  EXPECT_EQ(Shares({.temperature = 1.0, .top_p = 0.45}).size(), 1U);
  EXPECT_EQ(Shares({.temperature = 1.0, .top_p = 0.55}).size(), 2U);
  EXPECT_EQ(Shares({.temperature = 1.0, .top_p = 1.0}).size(), 5U);
  // Shares are of what top_k leaves: of 8 and 4 the first has two thirds.
  EXPECT_EQ(Shares({.temperature = 1.0, .top_k = 2, .top_p = 0.6}).size(), 1U);
}

TEST(SamplerTest, TheSeedDecidesAndNothingElse) {
  const auto draws = [](std::uint64_t seed) {
    Sampler sampler({.temperature = 1.0, .seed = seed});
    std::vector<std::int32_t> ids(32);
    for (std::int32_t& id : ids) id = sampler.Next(Candidates());
    return ids;
  };
  EXPECT_EQ(draws(5), draws(5));
  EXPECT_NE(draws(5), draws(6));
}

TEST(SamplerTest, LogitsThatAreNoNumbersStillNameACandidate) {
  std::vector<TokenCandidate> candidates = Candidates();
  for (TokenCandidate& candidate : candidates) candidate.logit = std::nanf("");
  Sampler sampler({.temperature = 1.0});
  EXPECT_THAT(sampler.Next(candidates), ::testing::AnyOf(10, 20, 30, 40, 50));
}

TEST(SamplerTest, OptionsOutOfRangeAreNamed) {
  const auto message = [](const SamplingOptions& options) {
    return std::string(CheckSampling(options).message());
  };
  EXPECT_TRUE(CheckSampling({}).ok());
  EXPECT_TRUE(CheckSampling({.temperature = 0.7, .top_k = 1, .top_p = 0.1, .seed = 9}).ok());
  EXPECT_EQ(message({.temperature = -1}), "--temperature is -1: use 0 (the best token) to 100");
  EXPECT_THAT(message({.temperature = std::nan("")}), HasSubstr("--temperature is nan"));
  EXPECT_THAT(message({.temperature = std::numeric_limits<double>::infinity()}),
              HasSubstr("--temperature is inf"));
  EXPECT_EQ(message({.temperature = 1, .top_k = 257}), "--top-k is 257: use 1 to 256");
  EXPECT_EQ(message({.temperature = 1, .top_p = 0}), "--top-p is 0: use a share in (0, 1]");
  EXPECT_THAT(message({.temperature = 1, .top_p = 1.1}), HasSubstr("--top-p is 1.1"));
  EXPECT_THAT(message({.seed = 3}), HasSubstr("give a --temperature above 0"));
  EXPECT_THAT(message({.top_k = 5}), HasSubstr("give a --temperature above 0"));
}

/// What passes, piece by piece and at the end, joined by '|'.
std::string Passed(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopTexts texts(stops);
  std::string passed;
  for (const std::string& piece : pieces) passed += texts.Push(piece) + "|";
  return passed + texts.Finish() + (texts.found() ? "!" : "");
}

TEST(StopTextsTest, WithoutOneEverythingPassesAtOnce) {
  EXPECT_EQ(Passed({}, {"ab", "", "c"}), "ab||c|");
}

TEST(StopTextsTest, TheTextBeforeAStopPassesAndNothingAfterIt) {
  EXPECT_EQ(Passed({"END"}, {"one END two", "three"}), "one ||!");
}

TEST(StopTextsTest, WhatMayBecomeAStopIsHeldBackUntilItIsDecided) {
  EXPECT_EQ(Passed({"END"}, {"one E", "N", "D two"}), "one |||!");
  EXPECT_EQ(Passed({"END"}, {"one E", "N", "d"}), "one ||ENd|");
  EXPECT_EQ(Passed({"END"}, {"one EN"}), "one |EN");
}

TEST(StopTextsTest, AStopThatBeginsInsideItsOwnBeginningIsFound) {
  EXPECT_EQ(Passed({"aab"}, {"a", "a", "a", "b"}), "||a||!");
}

TEST(StopTextsTest, OfSeveralTheOneThatBeginsFirstCounts) {
  EXPECT_EQ(Passed({"c", "bcd"}, {"abcd"}), "a|!");
  EXPECT_EQ(Passed({"\n\n", "x"}, {"a\n", "\n"}), "a||!");
}

TEST(GeneratedTextTest, AStopTextIsFoundAcrossTokensAndLeftOut) {
  const char* root = std::getenv("PINBOARD_SOURCE_DIR");
  const auto tokenizer =
      engine::Tokenizer::Load(std::string(root == nullptr ? "." : root) + "/models/tiny-llama");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto ids = *(*tokenizer)->Encode("one, two, 🙂 three", {.add_special_tokens = false});
  const auto shown = [&](const std::vector<std::string>& stops, bool* stopped) {
    GeneratedText text(tokenizer->get(), stops);
    std::string joined;
    for (const std::int32_t id : ids) {
      joined += *text.Push(id);
      if (text.stopped()) break;
    }
    joined += text.Finish();
    EXPECT_EQ(text.text(), joined);
    *stopped = text.stopped();
    return joined;
  };
  bool stopped = false;
  EXPECT_EQ(shown({}, &stopped), "one, two, 🙂 three");
  EXPECT_FALSE(stopped);
  EXPECT_EQ(shown({"two, 🙂"}, &stopped), "one, ");
  EXPECT_TRUE(stopped);
  EXPECT_EQ(shown({"three and more", "one, three"}, &stopped), "one, two, 🙂 three");
  EXPECT_FALSE(stopped);
}

}  // namespace
}  // namespace pinboard::app
