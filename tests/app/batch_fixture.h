// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the tests of continuous batching have in common: a tiny model, and requests run to their
// ends on ranks that must agree.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/batcher.h"
#include "tests/app/session_group.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::app {

using Tokens = std::vector<std::int32_t>;

/// Token ids of a tiny model.
inline Tokens RandomTokens(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int32_t> id(3, 95);
  Tokens tokens(count);
  for (std::int32_t& token : tokens) token = id(random);
  return tokens;
}

/// What requests made; texts, collectives and plans are the same on every rank.
struct BatchOutcome {
  std::map<std::uint64_t, Tokens> texts;  // by sequence
  engine::BatchStats stats;
  ShardStats shard;
  engine::EngineStats engine;
  std::vector<std::uint64_t> collectives;  // issued before each step and at the end
  std::map<std::uint64_t, std::vector<std::vector<PlannedLayer>>> plans;  // by sequence and round
};

/// The parameter: "llama" or "deepseek".
class BatchTest : public ::testing::TestWithParam<const char*> {
 protected:
  BatchTest()
      : directory_(::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name()) {
    const bool mla = std::string(GetParam()) == "deepseek";
    const auto json = mla ? engine::testing::TinyDeepseekJson() : engine::testing::TinyLlamaJson();
    engine::testing::WriteTinyModel(engine::testing::MakeTinyModel(json, 11), directory_);
  }

  SessionOptions Session(int cache_blocks) const {
    SessionOptions options;
    options.model_dir = directory_.path();
    options.cache_blocks = cache_blocks;
    options.wait_for_pages = true;
    options.census = true;
    options.export_plans = true;
    options.layer_tables = layer_tables_;
    return options;
  }

  static engine::BatchRequest Request(std::uint64_t sequence, Tokens prompt, int max_tokens,
                                      int round_every) {
    engine::BatchRequest request;
    request.sequence = sequence;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    request.options.policy = "pinboard";
    request.options.window = 16;
    request.options.budget = 0.2;
    request.options.recall_pages = 4;
    request.options.round_every = round_every;
    return request;
  }

  /// Its texts are of one token, whatever the model says.
  static std::unique_ptr<engine::Batcher> BatcherOfFives(RankSession& session) {
    auto made = engine::Batcher::Create(
        &session.engine(), &session.shard(), {},
        [](const engine::StepOutput&) { return std::optional<std::int32_t>(5); });
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  /// All requests at once on `tp` ranks, each token the likeliest; a census after every step.
  BatchOutcome Run(int tp, int cache_blocks, const std::vector<engine::BatchRequest>& requests,
                   const engine::BatchOptions& options) const {
    cache_service::MemoryPages pages;
    std::vector<BatchOutcome> outcomes(tp);
    OnSessions(tp, Session(cache_blocks), &pages, [&](RankSession& session) {
      RunRank(session, requests, options, &outcomes[session.rank().rank]);
    });
    for (const BatchOutcome& outcome : outcomes) {
      EXPECT_EQ(outcome.texts, outcomes[0].texts);
      EXPECT_EQ(outcome.collectives, outcomes[0].collectives);
      EXPECT_TRUE(outcome.plans == outcomes[0].plans);
    }
    EXPECT_EQ(pages.pages(), 0) << "a sequence left pages behind";
    return outcomes[0];
  }

  engine::testing::TinyDirectory directory_;
  bool layer_tables_ = false;

 private:
  static void RunRank(RankSession& session, const std::vector<engine::BatchRequest>& requests,
                      const engine::BatchOptions& options, BatchOutcome* outcome) {
    const auto made = engine::Batcher::Create(
        &session.engine(), &session.shard(), options, [](const engine::StepOutput& output) {
          return std::optional<std::int32_t>(output.candidates.front().id);
        });
    ASSERT_TRUE(made.ok()) << made.status();
    engine::Batcher& batcher = **made;
    batcher.SetHandlers({.on_token =
                             [&](std::uint64_t id, std::int32_t token) {
                               outcome->texts[id].push_back(token);
                               return true;
                             },
                         .on_round =
                             [&](const RoundOutcome& round) {
                               outcome->plans[round.sequence].push_back(round.plan);
                             },
                         .on_end = nullptr});
    for (const engine::BatchRequest& request : requests) ASSERT_TRUE(batcher.Submit(request).ok());
    while (!batcher.idle()) {
      outcome->collectives.push_back(session.shard().stats().collectives);
      ASSERT_EQ(batcher.Step(), absl::OkStatus());
      ASSERT_EQ(session.engine().Census(), absl::OkStatus());
    }
    EXPECT_EQ(session.engine().free_blocks(), session.engine().total_blocks());
    EXPECT_EQ(session.shard().stats().keepset_mismatches, 0);
    outcome->stats = batcher.stats();
    outcome->shard = session.shard().stats();
    outcome->engine = session.engine().stats();
    outcome->collectives.push_back(session.shard().stats().collectives);
  }
};

/// Behind the tests of a class that is a BatchTest.
#define INSTANTIATE_BATCH_TEST(Name)                                             \
  INSTANTIATE_TEST_SUITE_P(Models, Name, ::testing::Values("llama", "deepseek"), \
                           [](const auto& info) { return std::string(info.param); })

}  // namespace pinboard::app
