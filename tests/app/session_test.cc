// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Sessions and generation on small random models, ranks as threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/session/model_files.h"
#include "app/session/token_scripts.h"
#include "tests/app/session_fixture.h"
#include "tests/support/free_port.h"

namespace pinboard::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Sessions : public SessionTest {};

TEST_P(Sessions, FeedingTokenByTokenOrWholeGivesTheSameTokens) {
  const auto context = RandomIds(100, 5);
  const auto prompt = RandomIds(9, 6);
  for (const Feeding feeding : {Feeding::kWhole, Feeding::kOneTokenAStep}) {
    OnSessions(1, Options(32), nullptr, [&](RankSession& session) {
      const SequenceOptions full{.policy = "full"};
      ASSERT_TRUE(session.engine().AddSequence(7, full).ok());
      ASSERT_TRUE(session.Prefill(7, context).ok());
      std::vector<TokenScript> scripts(2);
      scripts[0].forced = prompt;
      scripts[0].generate = 4;
      scripts[1].forced = absl::MakeConstSpan(prompt).first(3);
      scripts[1].keep_logits = true;
      for (TokenScript& script : scripts) {
        script.sequence = session.NewSequence();
        ASSERT_TRUE(session.engine().Fork(7, script.sequence, full).ok());
      }
      ASSERT_TRUE(RunScripts(session, absl::MakeSpan(scripts), feeding).ok());
      EXPECT_EQ(scripts[0].generated, FullAnswer(context, prompt));
      EXPECT_THAT(scripts[1].logits, SizeIs(3 * kVocabulary));
      EXPECT_THAT(scripts[1].generated, SizeIs(0));
      EXPECT_EQ(session.engine().Length(scripts[0].sequence), 100 + 9 + 3);
    });
  }
}

TEST_P(Sessions, GenerationStaysWithinItsBudgetWhateverItsLength) {
  cache_service::MemoryPages pages;
  GenerationRequest request{.prompt = RandomIds(300, 8), .max_tokens = 160};
  request.method = {.policy = "pinboard", .window = 16, .recall_pages = 4, .round_every = 32};
  std::vector<std::vector<std::int32_t>> made_by_rank(2);
  OnSessions(2, Options(CacheBlocksNeeded({request}, 1, 16)), &pages, [&](RankSession& session) {
    const auto made = GenerateOne(session, request);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->length, 300 + 159);  // the last token is not fed
    EXPECT_EQ(made->stop_reason, StopReason::kMaxTokens);
    EXPECT_GT(made->rounds, 5) << "while the prompt is read, after it, then at 32, 64, 96, 128";
    EXPECT_LE(made->rows, 64 + 46 + 32);
    made_by_rank[session.rank().rank] = made->ids;
  });
  EXPECT_THAT(made_by_rank[0], SizeIs(160));
  EXPECT_EQ(made_by_rank[0], made_by_rank[1]);
}

TEST_P(Sessions, DrawnTokensAreTheSameOnEveryRankAndDependOnTheSeed) {
  GenerationRequest request = UnderFullCache(RandomIds(60, 8), 48);
  const auto made_with = [&](int tp, double temperature, std::uint64_t seed) {
    request.sampling = {.temperature = temperature, .top_k = 40, .top_p = 0.9, .seed = seed};
    std::vector<std::vector<std::int32_t>> by_rank(tp);
    OnSessions(tp, Options(CacheBlocksNeeded({request}, 1, 16)), nullptr,
               [&](RankSession& session) {
                 const auto made = GenerateOne(session, request);
                 ASSERT_TRUE(made.ok()) << made.status();
                 by_rank[session.rank().rank] = made->ids;
               });
    for (const auto& ids : by_rank) EXPECT_EQ(ids, by_rank[0]);
    return by_rank[0];
  };
  const auto one = made_with(1, 1.0, 7);
  EXPECT_THAT(one, SizeIs(48));
  EXPECT_EQ(made_with(1, 1.0, 7), one);
  EXPECT_NE(made_with(1, 1.0, 8), one);
  EXPECT_NE(made_with(1, 0.0, 7), one);
  // Rounding could move a draw; with these seeds it does not.
  EXPECT_EQ(made_with(2, 1.0, 7), one);
  EXPECT_EQ(made_with(4, 1.0, 7), one);
}

/// The value of a series that the exposition has.
double ValueOf(const std::string& exposition, const std::string& series) {
  const auto at = exposition.find("\n" + series + " ");
  EXPECT_NE(at, std::string::npos) << series;
  return at == std::string::npos ? 0 : std::stod(exposition.substr(at + series.size() + 2));
}

TEST_P(Sessions, ServeMetricsThatSeeTheirCollectives) {
  cache_service::MemoryPages pages;
  SessionOptions options = Options(32);
  options.metrics = FreeLoopbackRange(2);
  OnSessions(2, options, &pages, [&](RankSession& session) {
    const SequenceOptions bounded{.policy = "pinboard", .window = 16, .recall_pages = 4};
    ASSERT_TRUE(session.engine().AddSequence(7, bounded).ok());
    ASSERT_TRUE(session.Prefill(7, RandomIds(300, 5)).ok());
    ASSERT_TRUE(session.engine().Compress({7}).ok());
    session.CountStep(0);
    const std::string text = session.metrics()->registry().ExpositionText();
    double calls = 0;
    for (const char* call : {"sum_int32", "sum_float", "all_gather"}) {
      const std::string count =
          std::string("pinboard_rank_collective_seconds_count{call=\"") + call + "\"}";
      EXPECT_GT(ValueOf(text, count), 0);
      calls += ValueOf(text, count);
    }
    EXPECT_EQ(calls, ValueOf(text, "pinboard_rank_collectives_total"));
    EXPECT_GT(ValueOf(text, "pinboard_rank_round_seconds_total{stage=\"plan\"}"), 0);
    EXPECT_GT(ValueOf(text, "pinboard_rank_round_rows_total{fate=\"kept\"}"), 0);
  });
}

TEST(CacheBlocks, HoldTheLargestTextsThatRunSideBySide) {
  const auto of = [](int prompt, int max_tokens) {
    return UnderFullCache(RandomIds(prompt, 1), max_tokens);
  };
  const std::vector<GenerationRequest> requests = {of(10, 6), of(100, 12), of(10, 7), of(50, 14)};
  EXPECT_EQ(CacheBlocksNeeded(requests, 64, 16), 1 + 7 + 2 + 4);
  EXPECT_EQ(CacheBlocksNeeded(requests, 2, 16), 7 + 4);
  EXPECT_EQ(CacheBlocksNeeded(requests, 1, 32), 4);
}

TEST_P(Sessions, ATextEndsWhereItsReaderSaysSo) {
  OnSessions(2, Options(8), nullptr, [&](RankSession& session) {
    int seen = 0;
    const auto made = GenerateOne(session, UnderFullCache(RandomIds(20, 8), 64),
                                  [&](std::int32_t) { return ++seen < 3; });
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->stop_reason, StopReason::kStopText);
    EXPECT_THAT(made->ids, SizeIs(3));
  });
}

TEST_P(Sessions, ATextEndsAtAnyOfTheModelsLastTokens) {
  const auto prompt = RandomIds(20, 8);
  const auto whole = FullAnswer(prompt, {});
  engine::testing::WriteFile(directory_ / "generation_config.json",
                             "{\"eos_token_id\": [1, " + std::to_string(whole[2]) + "]}");
  OnSessions(1, Options(8), nullptr, [&](RankSession& session) {
    const auto made = GenerateOne(session, UnderFullCache(prompt, 64));
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->stop_reason, StopReason::kEndOfText);
    EXPECT_THAT(made->ids, ElementsAre(whole[0], whole[1]));
  });
}

TEST_P(Sessions, AnErrorOfTheTokenSinkEndsTheGeneration) {
  OnSessions(1, Options(8), nullptr, [&](RankSession& session) {
    const auto made = GenerateOne(session, UnderFullCache(RandomIds(5, 1), 9), [](std::int32_t) {
      return absl::UnavailableError("cannot write standard output");
    });
    EXPECT_THAT(std::string(made.status().message()), HasSubstr("cannot write"));
  });
}

INSTANTIATE_SESSION_TEST(Sessions);

TEST(ModelFiles, TheNumberOfRanksMustDivideTheModel) {
  engine::testing::TinyDirectory directory("app-model-files");
  engine::testing::WriteTinyModel(
      engine::testing::MakeTinyModel(engine::testing::TinyLlamaJson(), 1), directory);
  EXPECT_TRUE(CheckModel(directory.path(), 4).ok());
  EXPECT_THAT(std::string(CheckModel(directory.path(), 3).status().message()),
              HasSubstr("tp 3 does not divide"));
  EXPECT_EQ(CheckModel("/nowhere", 1).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace pinboard::app
