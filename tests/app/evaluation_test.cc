// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Policies measured on small random models, ranks as threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>

#include "app/eval/decode_evaluation.h"
#include "app/eval/prefill_evaluation.h"
#include "tests/app/session_fixture.h"

namespace pinboard::app {
namespace {

using ::testing::SizeIs;

class Evaluations : public SessionTest {
 protected:
  std::vector<SuiteItem> Suite() const {
    std::vector<SuiteItem> items(2);
    for (unsigned i = 0; i < items.size(); ++i) {
      items[i].context = RandomIds(500 + 7 * i, 20 + i);
      items[i].continuation = RandomIds(24, 30 + i);
      for (unsigned q = 0; q < 2; ++q) {
        const auto prompt = RandomIds(5, 40 + 2 * i + q);
        items[i].questions.push_back({prompt, FullAnswer(items[i].context, prompt)});
      }
    }
    return items;
  }

  /// Evaluates on `tp` ranks and checks that all of them measured the same.
  std::vector<ArmResult> Evaluate(int tp, const std::vector<SuiteItem>& items,
                                  const std::vector<Arm>& arms, cache_service::MemoryPages* pages) {
    SessionOptions options = Options(PrefillEvaluation::CacheBlocksNeeded(items, 16));
    return MeasureOn(tp, options, pages, arms, items, [&](RankSession* session) {
      return std::make_unique<PrefillEvaluation>(session, arms, Quiet);
    });
  }

  std::vector<ArmResult> EvaluateDecoding(int tp, const std::vector<SuiteItem>& items,
                                          const std::vector<Arm>& arms, int every,
                                          cache_service::MemoryPages* pages) {
    SessionOptions options = Options(DecodeEvaluation::CacheBlocksNeeded(items, 16));
    return MeasureOn(tp, options, pages, arms, items, [&](RankSession* session) {
      return std::make_unique<DecodeEvaluation>(session, arms, every, Quiet);
    });
  }

  static void Quiet(const Arm&, const ArmResult&) {}

  static std::vector<ArmResult> MeasureOn(
      int tp, SessionOptions options, cache_service::MemoryPages* pages,
      const std::vector<Arm>& arms, const std::vector<SuiteItem>& items,
      const std::function<std::unique_ptr<Evaluation>(RankSession*)>& make) {
    options.observe_all_queries = true;
    options.wait_for_pages = true;
    std::vector<std::vector<ArmResult>> results(tp);
    OnSessions(tp, options, pages, [&](RankSession& session) {
      const std::unique_ptr<Evaluation> evaluation = make(&session);
      const absl::Status measured = evaluation->Measure(items);
      ASSERT_TRUE(measured.ok()) << measured;
      EXPECT_EQ(session.engine().free_blocks(), session.engine().total_blocks());
      results[session.rank().rank] = evaluation->results();
    });
    for (const auto& other : results) {
      for (std::size_t a = 0; a < arms.size(); ++a) {
        EXPECT_EQ(other[a].correct, results[0][a].correct);
        EXPECT_EQ(other[a].kept, results[0][a].kept);
        EXPECT_EQ(other[a].pages_recalled, results[0][a].pages_recalled);
        EXPECT_EQ(other[a].kl_sum, results[0][a].kl_sum);
        EXPECT_EQ(other[a].resident_kv_bytes, results[0][a].resident_kv_bytes);
      }
    }
    return results.front();
  }
};

std::vector<Arm> Arms(const std::string& policies) {
  return *ParseArms(policies, "0.2", SequenceOptions{.recall_pages = 4}, true);
}

TEST_P(Evaluations, TheFullCacheIsItsOwnReference) {
  const auto results = Evaluate(1, Suite(), Arms("full"), nullptr);
  EXPECT_EQ(results[0].questions, 4);
  EXPECT_EQ(results[0].correct, 4);
  EXPECT_EQ(results[0].answers, "11 11");
  EXPECT_NEAR(results[0].kl_sum, 0.0, 1e-9);
  EXPECT_EQ(results[0].kl_tokens, 48);
  EXPECT_EQ(results[0].nll_tokens, 46);
  EXPECT_EQ(results[0].kept, (500 + 507) * kLayers);
  EXPECT_EQ(results[0].dropped, 0);
}

TEST_P(Evaluations, EveryPolicyKeepsItsBudgetAndTheRing) {
  cache_service::MemoryPages pages;
  const auto items = Suite();
  const auto arms = Arms(
      "random,recency,random-prompt,recency-prompt,snapkv,h2o,tova,rpc,rkv,expected-attention,"
      "entropy-only,shift-only,"
      "infokv,"
      "pinboard");
  const auto results = Evaluate(1, items, arms, &pages);
  for (std::size_t a = 0; a < arms.size(); ++a) {
    SCOPED_TRACE(arms[a].policy);
    // 0.2 of 500 and of 507, in every layer.
    EXPECT_EQ(results[a].kept, (100 + 101) * kLayers);
    EXPECT_EQ(results[a].ring_rows, 2 * 4 * 16);
    // 0.4 of the length: 12 whole pages each.
    EXPECT_EQ(results[a].borderline, 2 * 12 * 16 * kLayers);
    EXPECT_EQ(results[a].kept + results[a].borderline + results[a].dropped, (500 + 507) * kLayers);
    EXPECT_EQ(results[a].pages_offloaded, 2 * 12 * kLayers);
    EXPECT_GT(results[a].digest_bytes, 0);
    EXPECT_GT(results[a].pages_recalled, 0);
    EXPECT_EQ(results[a].misses, 0);
    EXPECT_EQ(results[a].rounds_kept_all, 0);
    EXPECT_GT(results[a].kl_sum, 0.0);
  }
  EXPECT_EQ(pages.pages(), 0) << "an arm left pages behind";
}

TEST_P(Evaluations, HeadsThatKeepRowsOfTheirOwnKeepTheSameBudgetWithoutPages) {
  cache_service::MemoryPages pages;
  const auto arms = Arms("snapkv-heads:band=0:recall-pages=0");
  const auto one = Evaluate(1, Suite(), arms, &pages);
  EXPECT_EQ(one[0].kept, (100 + 101) * kLayers);
  EXPECT_EQ(one[0].kept + one[0].dropped, (500 + 507) * kLayers);
  EXPECT_EQ(one[0].pages_offloaded, 0);
  EXPECT_GT(one[0].kl_sum, 0.0);
  for (const int tp : {2, 4}) {
    const auto many = Evaluate(tp, Suite(), arms, &pages);
    EXPECT_EQ(many[0].kept, one[0].kept);
    EXPECT_EQ(many[0].keepset_mismatches, 0);
    EXPECT_NEAR(many[0].kl_sum, one[0].kl_sum, 1e-3);
  }
}

TEST_P(Evaluations, UnequalLayersAndOneSetForAllKeepTheSameTotal) {
  const auto items = Suite();
  const auto arms = Arms(
      "snapkv,pyramidkv,snapkv:layers=adaptive,infokv:scope=global,pinboard:layers=pyramid,full");
  std::vector<std::vector<ArmResult>> measured;
  for (const int tp : {1, 2}) {
    cache_service::MemoryPages pages;
    SessionOptions options = Options(PrefillEvaluation::CacheBlocksNeeded(items, 16));
    options.layer_tables = true;
    measured.push_back(MeasureOn(tp, options, &pages, arms, items, [&](RankSession* session) {
      return std::make_unique<PrefillEvaluation>(session, arms, Quiet);
    }));
    EXPECT_EQ(pages.pages(), 0) << "an arm left pages behind";
  }
  for (std::size_t a = 0; a + 1 < arms.size(); ++a) {
    SCOPED_TRACE(arms[a].policy);
    EXPECT_EQ(measured[0][a].kept, (100 + 101) * kLayers);
    EXPECT_EQ(measured[0][a].ring_rows, 2 * 4 * 16);
    EXPECT_GT(measured[0][a].pages_recalled, 0);
    EXPECT_NEAR(static_cast<double>(measured[0][a].resident_kv_bytes),
                static_cast<double>(measured[0][0].resident_kv_bytes),
                0.1 * static_cast<double>(measured[0][0].resident_kv_bytes));
    EXPECT_EQ(measured[1][a].kept, measured[0][a].kept);
    EXPECT_NEAR(measured[1][a].kl_sum, measured[0][a].kl_sum, 0.02 * measured[0][a].kl_sum + 1e-6);
  }
  EXPECT_NE(measured[0][0].kl_sum, measured[0][1].kl_sum);
  EXPECT_EQ(measured[0].back().correct, 4) << "the full cache";
}

TEST_P(Evaluations, ResidentBytesAreWithinOneBlockPerLayerOfBudgetAndRing) {
  cache_service::MemoryPages pages;
  SuiteItem item{.context = RandomIds(777, 3), .continuation = {}, .questions = {}};
  const auto results = Evaluate(1, {item}, Arms("pinboard"), &pages);
  std::int64_t row_bytes = 0;
  OnSessions(1, Options(4), nullptr, [&](RankSession& session) {
    row_bytes = static_cast<std::int64_t>(session.engine().RowBytes());
  });
  const std::int64_t rows = 155 + 4 * 16;  // 0.2 * 777 = 155.4
  EXPECT_GE(results[0].resident_kv_bytes, rows * row_bytes);
  EXPECT_LE(results[0].resident_kv_bytes, (rows + 16) * row_bytes);
}

TEST_P(Evaluations, OneTwoAndFourRanksMeasureTheSame) {
  const auto items = Suite();
  const auto arms = Arms("full,snapkv,h2o,infokv:fusion=max,pinboard");
  cache_service::MemoryPages alone;
  const auto one = Evaluate(1, items, arms, &alone);
  for (const int tp : {2, 4}) {
    SCOPED_TRACE(testing::Message() << "tp " << tp);
    cache_service::MemoryPages pages;
    const auto many = Evaluate(tp, items, arms, &pages);
    for (std::size_t a = 0; a < arms.size(); ++a) {
      SCOPED_TRACE(arms[a].policy);
      EXPECT_EQ(many[a].kept, one[a].kept);
      EXPECT_EQ(many[a].borderline, one[a].borderline);
      EXPECT_EQ(many[a].pages_offloaded, one[a].pages_offloaded);
      EXPECT_EQ(many[a].keepset_mismatches, 0);
      EXPECT_EQ(many[a].rounds_kept_all, 0);
      EXPECT_EQ(many[a].correct, one[a].correct);
      EXPECT_NEAR(many[a].kl_sum, one[a].kl_sum, 0.02 * one[a].kl_sum + 1e-6);
      EXPECT_NEAR(many[a].nll_sum, one[a].nll_sum, 0.01 * one[a].nll_sum);
    }
  }
}

TEST_P(Evaluations, AServiceThatIsLostCostsPagesAndNothingElse) {
  cache_service::MemoryPages pages;
  const auto items = Suite();
  const auto arms = Arms("pinboard");
  SessionOptions options = Options(PrefillEvaluation::CacheBlocksNeeded(items, 16));
  options.wait_for_pages = true;
  OnSessions(1, options, &pages, [&](RankSession& session) {
    PrefillEvaluation evaluation(&session, arms, Quiet);
    ASSERT_TRUE(evaluation.Measure({&items[0], 1}).ok());
    EXPECT_EQ(evaluation.results()[0].misses, 0);
    pages.SetGone(true);
    const absl::Status measured = evaluation.Measure({&items[1], 1});
    ASSERT_TRUE(measured.ok()) << measured;
    EXPECT_GT(evaluation.results()[0].misses, 0);
    EXPECT_EQ(evaluation.results()[0].questions, 4);
  });
}

TEST_P(Evaluations, DecodingCompressesAfterEverySoManyTokensBehindThePrompt) {
  std::vector<SuiteItem> items = Suite();
  for (SuiteItem& item : items) {
    item.prompt_tokens = 100;
    item.questions[0].tokens_ago = 60;  // 400 or 407 tokens follow the prompt, a round every 32
    item.questions[1].tokens_ago = 330;
  }
  // Window 16 and budget .2: from the round at 100 + 32 rows on there is something to gain.
  const auto arms = *ParseArms("full,snapkv:window=16:band=0,pinboard:window=16", "0.2",
                               SequenceOptions{.recall_pages = 4}, true);
  for (const int tp : {1, 2}) {
    SCOPED_TRACE(testing::Message() << "tp " << tp);
    cache_service::MemoryPages pages;
    const auto results = EvaluateDecoding(tp, items, arms, 32, &pages);
    EXPECT_EQ(results[0].correct, 4);
    EXPECT_EQ(results[0].kept, (500 + 507) * kLayers);
    for (int a : {1, 2}) {
      SCOPED_TRACE(arms[a].policy);
      EXPECT_EQ(results[a].rounds, 2 * 12);
      // The last rounds were at 484 tokens: 97 rows of 484, and the 16 or 23 that followed.
      EXPECT_EQ(results[a].kept, (97 + 16 + 97 + 23) * kLayers);
      EXPECT_EQ(results[a].questions, 4);
      ASSERT_THAT(results[a].by_rounds_ago, SizeIs(2));
      EXPECT_EQ(results[a].by_rounds_ago.at(2).questions, 2)
          << "said within 340 or 347 tokens: 10 rounds of 12";
      EXPECT_EQ(results[a].by_rounds_ago.at(10).questions, 2) << "70 and 77 tokens: 2 rounds of 12";
      EXPECT_GT(results[a].kl_sum, 0.0);
      EXPECT_EQ(results[a].keepset_mismatches, 0);
      EXPECT_EQ(results[a].misses, 0);
    }
    EXPECT_EQ(results[1].ring_rows, 0);
    EXPECT_EQ(results[2].ring_rows, 2 * 4 * 16) << "it has grown to its size";
    EXPECT_GT(results[2].pages_recalled, 0);
    EXPECT_EQ(pages.pages(), 0) << "an arm left pages behind";
  }
}

TEST_P(Evaluations, WithoutRecallARoundsTokensInOneStepOrOneByOneAreTheSame) {
  const auto text = RandomIds(300, 17);
  std::vector<std::vector<std::int32_t>> rows;
  for (const std::size_t step : {std::size_t{1}, std::size_t{50}}) {
    OnSessions(1, Options(64), nullptr, [&](RankSession& session) {
      const SequenceOptions options{.policy = "infokv", .window = 16, .budget = 0.2};
      ASSERT_TRUE(session.engine().AddSequence(7, options).ok());
      for (std::size_t at = 0; at < text.size(); at += step) {
        ASSERT_TRUE(session.Prefill(7, absl::MakeConstSpan(text).subspan(at, step)).ok());
        if ((at + step) % 50 != 0) continue;
        ASSERT_TRUE(session.engine().Compress({7}).ok());
      }
      rows.push_back(session.shard().RowPositions(7, 1));
    });
  }
  EXPECT_EQ(rows[0], rows[1]);
}

INSTANTIATE_SESSION_TEST(Evaluations);

}  // namespace
}  // namespace pinboard::app
