// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Continuous batching with a shard and pages beside it, ranks as threads.
#include "engine/batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/app/batch_fixture.h"

namespace pinboard::app {
namespace {

using engine::Batcher;
using engine::BatchOptions;
using engine::BatchRequest;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Batching : public BatchTest {
 protected:
  /// A prompt of `prompt` tokens, all its own.
  static BatchRequest Request(std::uint64_t sequence, int prompt, int max_tokens) {
    return BatchTest::Request(sequence, RandomTokens(prompt, static_cast<unsigned>(sequence)),
                              max_tokens, /*round_every=*/48);
  }

  /// Mixed lengths; the longest takes 25 blocks uncompressed.
  static std::vector<BatchRequest> SixteenRequests() {
    std::vector<BatchRequest> requests;
    for (std::uint64_t i = 1; i <= 16; ++i) {
      requests.push_back(Request(i, 20 + static_cast<int>(i * 89 % 300), 30 + i * 7 % 50));
    }
    return requests;
  }

  BatchOutcome Run(int tp, int cache_blocks, const std::vector<BatchRequest>& requests,
                   const BatchOptions& options = {}) const {
    return BatchTest::Run(tp, cache_blocks, requests, options);
  }
};

/// Scores may differ in their last bits: BLAS sums in another order for another batch.
bool SameRows(const std::vector<std::vector<PlannedLayer>>& a,
              const std::vector<std::vector<PlannedLayer>>& b) {
  const auto same_layer = [](const PlannedLayer& x, const PlannedLayer& y) {
    return x.kept == y.kept && x.offloaded == y.offloaded && x.dropped == y.dropped;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const auto& x, const auto& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same_layer);
  });
}

TEST_P(Batching, SixteenSequencesInACacheForFourAllFinishAsEachWouldAlone) {
  const std::vector<BatchRequest> requests = SixteenRequests();
  int most = 0;
  for (const BatchRequest& request : requests) {
    most = std::max(most, static_cast<int>(request.prompt.size()) + request.max_tokens);
  }
  const int blocks = 4 * ((most + 15) / 16);
  for (const int tp : {1, 2}) {
    SCOPED_TRACE(testing::Message() << "tp " << tp);
    const BatchOutcome together = Run(tp, blocks, requests);
    EXPECT_THAT(together.texts, SizeIs(16));
    EXPECT_GT(together.stats.preemptions, 0);
    EXPECT_EQ(together.stats.resumes, together.stats.preemptions);
    EXPECT_GT(together.stats.most_running, 4) << "freed blocks count at once";
    EXPECT_LE(together.stats.most_blocks, blocks);
    EXPECT_GT(together.stats.rounds, 32);
    for (const BatchRequest& request : requests) {
      const BatchOutcome alone = Run(tp, blocks, {request});
      EXPECT_EQ(together.texts.at(request.sequence), alone.texts.at(request.sequence))
          << "sequence " << request.sequence;
      EXPECT_TRUE(SameRows(together.plans.at(request.sequence), alone.plans.at(request.sequence)))
          << "sequence " << request.sequence;
      EXPECT_EQ(alone.stats.preemptions, 0);
    }
  }
}

TEST_P(Batching, WhatIsOnlyObservedIsPlannedAndReadsAsTheFullCache) {
  for (const int tp : {1, 2}) {
    std::vector<BatchRequest> requests = {Request(1, 150, 60), Request(2, 70, 90)};
    for (BatchRequest& request : requests) request.options.observe = true;
    const BatchOutcome observed = Run(tp, 32, requests);
    for (BatchRequest& request : requests) {
      request.options.observe = false;
      request.options.policy = "full";
    }
    const BatchOutcome full = Run(tp, 32, requests);
    EXPECT_EQ(observed.texts, full.texts);
    EXPECT_EQ(observed.stats.rounds, 0);
    ASSERT_THAT(observed.plans.at(1), SizeIs(::testing::Ge(4)));
    for (const auto& layers : observed.plans.at(1)) {
      EXPECT_THAT(layers, SizeIs(3));
      for (const PlannedLayer& layer : layers) EXPECT_GT(layer.dropped, 0);
    }
  }
}

TEST_P(Batching, BlocksThatARoundFreesAdmitTheNextInTheSameStep) {
  OnSessions(1, Session(7), nullptr, [&](RankSession& session) {
    const auto made = BatcherOfFives(session);
    Batcher& batcher = *made;
    BatchRequest first = Request(1, 96, 20);
    first.options.round_every = 96;
    ASSERT_TRUE(batcher.Submit(first).ok());
    ASSERT_TRUE(batcher.Submit(Request(2, 40, 20)).ok());
    ASSERT_TRUE(batcher.Step().ok());
    EXPECT_EQ(session.engine().free_blocks(), 1) << "six blocks are read, the second needs three";
    EXPECT_EQ(batcher.stats().most_running, 1);
    ASSERT_TRUE(batcher.Step().ok());
    EXPECT_EQ(batcher.stats().rounds, 1);
    EXPECT_EQ(batcher.stats().most_running, 2);
  });
}

TEST_P(Batching, ATextEndsWhereItsListenerSaysSo) {
  OnSessions(1, Session(16), nullptr, [&](RankSession& session) {
    const auto made = BatcherOfFives(session);
    Batcher& batcher = *made;
    std::map<std::uint64_t, int> tokens;
    batcher.SetHandlers({.on_token = [&](std::uint64_t id, std::int32_t) {
      return ++tokens[id] < static_cast<int>(2 * id);
    }});
    for (const std::uint64_t id : {1, 2}) ASSERT_TRUE(batcher.Submit(Request(id, 9, 9)).ok());
    while (!batcher.idle()) ASSERT_TRUE(batcher.Step().ok());
    EXPECT_EQ(tokens, (std::map<std::uint64_t, int>{{1, 2}, {2, 4}}));
    EXPECT_EQ(batcher.stats().tokens, 9 + 9 + 1 + 3) << "the last of each is not fed";
    EXPECT_EQ(session.engine().free_blocks(), 16);
  });
}

TEST_P(Batching, SequencesOfAnyPolicyAndAnyLayersShareOnePool) {
  layer_tables_ = true;
  std::vector<BatchRequest> requests = SixteenRequests();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    SequenceOptions& options = requests[i].options;
    options.policy = std::vector{"pinboard", "pyramidkv", "snapkv", "recency"}[i % 4];
    if (i % 4 == 2) options.layers = "adaptive";
    if (i % 4 == 3) options.scope = "global";
    options.budget = 0.15 + 0.05 * static_cast<double>(i % 3);
  }
  for (const int tp : {1, 2}) {
    SCOPED_TRACE(testing::Message() << "tp " << tp);
    const BatchOutcome together = Run(tp, 84, requests);
    EXPECT_GT(together.stats.preemptions, 0);
    EXPECT_EQ(together.stats.resumes, together.stats.preemptions);
    EXPECT_GT(together.stats.most_running, 4) << "freed blocks count at once";
    for (const BatchRequest& request : requests) {
      EXPECT_EQ(together.texts.at(request.sequence),
                Run(tp, 84, {request}).texts.at(request.sequence))
          << "sequence " << request.sequence;
    }
  }
}

// sglang#30760: ranks that issue unequal numbers of collectives hang each other.
TEST_P(Batching, UnequalCollectiveCounts_EveryRankIssuesTheSameInEveryStepAndRound) {
  const BatchOutcome alone = Run(1, 64, SixteenRequests());
  EXPECT_EQ(alone.collectives.back(), 0) << "a group of one needs none";
  const BatchOutcome together = Run(4, 64, SixteenRequests());  // Run compares the ranks
  EXPECT_GT(together.stats.rounds, 0);
  for (std::size_t step = 1; step < together.collectives.size(); ++step) {
    EXPECT_GT(together.collectives[step], together.collectives[step - 1]);
  }
}

TEST_P(Batching, APromptLongerThanTheCacheStreamsInAndIsCompressedOnTheWay) {
  BatchRequest request = Request(1, 1500, 8);
  request.options.cap = 128;
  const BatchOutcome outcome = Run(2, 16, {request}, {.max_prompt_tokens = 64});
  EXPECT_THAT(outcome.texts.at(1), SizeIs(8));
  EXPECT_GE(outcome.stats.rounds, 25);
  EXPECT_LE(outcome.stats.most_blocks, 16) << "1500 rows would take 94";
}

TEST_P(Batching, WhereTheEarliestAloneDoesNotFitItSaysSo) {
  OnSessions(1, Session(8), nullptr, [&](RankSession& session) {
    const auto made = BatcherOfFives(session);
    Batcher& batcher = *made;
    BatchRequest request = Request(7, 200, 4);
    request.options.policy = "full";
    ASSERT_TRUE(batcher.Submit(request).ok());
    ASSERT_TRUE(batcher.Submit(Request(8, 20, 4)).ok());
    absl::Status status;
    for (int step = 0; status.ok() && step < 100; ++step) status = batcher.Step();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("sequence 7 needs"));
    ASSERT_TRUE(batcher.Cancel(7).ok());
    EXPECT_EQ(batcher.Cancel(7).code(), absl::StatusCode::kNotFound);
    while (!batcher.idle()) ASSERT_TRUE(batcher.Step().ok()) << "the others go on";
    EXPECT_TRUE(batcher.Step().ok()) << "idle";
    EXPECT_EQ(session.engine().free_blocks(), 8);
  });
}

TEST_P(Batching, ARequestThatCannotBeServedIsRefusedAtOnce) {
  OnSessions(1, Session(8), nullptr, [&](RankSession& session) {
    const auto choose = [](const engine::StepOutput&) { return std::optional<std::int32_t>(5); };
    for (const BatchOptions& options :
         {BatchOptions{.max_prompt_tokens = 0}, BatchOptions{.max_running = 0}}) {
      EXPECT_EQ(
          Batcher::Create(&session.engine(), &session.shard(), options, choose).status().code(),
          absl::StatusCode::kInvalidArgument);
    }
    const auto made = Batcher::Create(&session.engine(), &session.shard(), {}, choose);
    Batcher& batcher = **made;
    EXPECT_EQ(batcher.Submit(Request(8, 0, 4)).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(batcher.Submit(Request(8, 4, 0)).code(), absl::StatusCode::kInvalidArgument);
    BatchRequest request = Request(8, 4, 4);
    request.prompt[2] = 100000;
    EXPECT_THAT(std::string(batcher.Submit(request).message()), HasSubstr("token id 100000"));
    request = Request(8, 4, 4);
    request.options.policy = "magic";
    EXPECT_THAT(std::string(batcher.Submit(request).message()), HasSubstr("unknown policy"));
    request.options.policy = "snapkv";
    EXPECT_TRUE(batcher.Submit(request).ok());
    EXPECT_EQ(batcher.Submit(request).code(), absl::StatusCode::kAlreadyExists);
    EXPECT_TRUE(batcher.Cancel(8).ok()) << "while it waits";
    EXPECT_TRUE(batcher.idle());
  });
}

TEST_P(Batching, APromptWithoutRoundsIsReadInWholeChunks) {
  std::vector<BatchRequest> requests = {Request(1, 400, 1)};
  requests[0].options.policy = "full";
  // 48 tokens to where a round would be, then 100, 100, 100 and 52.
  EXPECT_EQ(Run(1, 32, requests, {.max_prompt_tokens = 100}).stats.steps, 5);
}

TEST_P(Batching, ByPressureOnlyAFullCacheIsCompressed) {
  std::vector<BatchRequest> requests = {Request(1, 100, 40), Request(2, 100, 40)};
  for (BatchRequest& request : requests) {
    request.options.round_every = 0;
    request.options.round_watermark = 0.8;
  }
  EXPECT_EQ(Run(1, 64, requests).stats.rounds, 0);
  requests[1].prompt = Request(2, 300, 1).prompt;
  const BatchOutcome late = Run(1, 30, requests, {.max_prompt_tokens = 150});
  EXPECT_GT(late.stats.rounds, 0) << "what comes next does not fit, below the watermark";
  requests[1].prompt.resize(100);
  const BatchOutcome tight = Run(1, 16, requests);
  EXPECT_GT(tight.stats.rounds, 0);
  EXPECT_THAT(tight.texts.at(2), SizeIs(40));
}

TEST_P(Batching, ATextThatEndsMakesRoomForTheNext) {
  OnSessions(1, Session(16), nullptr, [&](RankSession& session) {
    int made = 0;
    std::vector<std::uint64_t> ended;
    const auto created =
        Batcher::Create(&session.engine(), &session.shard(), {.max_running = 1},
                        [&](const engine::StepOutput&) -> std::optional<std::int32_t> {
                          return ++made % 3 == 0 ? std::nullopt : std::optional<std::int32_t>(5);
                        });
    Batcher& batcher = **created;
    batcher.SetHandlers({.on_end = [&](std::uint64_t id) {
      EXPECT_GT(session.engine().Length(id), 0) << "told before its blocks are freed";
      ended.push_back(id);
    }});
    for (const std::uint64_t id : {3, 1, 2}) ASSERT_TRUE(batcher.Submit(Request(id, 9, 9)).ok());
    while (!batcher.idle()) ASSERT_TRUE(batcher.Step().ok());
    EXPECT_EQ(ended, (std::vector<std::uint64_t>{3, 1, 2})) << "in the order in which they came";
    EXPECT_EQ(batcher.stats().most_running, 1);
  });
}

TEST_P(Batching, WhatIsSwappedOutIsLeftAloneUntilItIsBack) {
  OnSessions(1, Session(32), nullptr, [&](RankSession& session) {
    engine::Engine& engine = session.engine();
    const BatchRequest request = Request(1, 100, 1);
    ASSERT_TRUE(engine.AddSequence(1, request.options).ok());
    ASSERT_TRUE(session.Prefill(1, request.prompt).ok());
    ASSERT_TRUE(engine.BeginRound({1}).ok());
    EXPECT_EQ(engine.SwapOut(1).code(), absl::StatusCode::kFailedPrecondition) << "in a round";
    EXPECT_EQ(engine.Remove(1).code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_TRUE(engine.CommitRound({1}).ok());
    const int rows = engine.Rows(1);
    EXPECT_EQ(engine.SwapIn(1).code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_TRUE(engine.SwapOut(1).ok());
    EXPECT_EQ(engine.free_blocks(), 32);
    EXPECT_EQ(engine.BlocksMissing(1, 1), (rows + 1 + 15) / 16);
    EXPECT_EQ(session.Prefill(1, {5}).status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(engine.BeginRound({1}).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(engine.Fork(1, 2, request.options).code(), absl::StatusCode::kFailedPrecondition);
    ASSERT_TRUE(engine.SwapIn(1).ok());
    EXPECT_EQ(engine.Rows(1), rows);
    EXPECT_TRUE(session.Prefill(1, {5}).ok());
  });
}

INSTANTIATE_BATCH_TEST(Batching);

}  // namespace
}  // namespace pinboard::app
