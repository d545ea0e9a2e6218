// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Sequences that begin alike share rows, and make the texts that each would make alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "tests/app/batch_fixture.h"
#include "tests/support/seeded_random.h"

namespace pinboard::app {
namespace {

using engine::BatchRequest;
using ::testing::SizeIs;

class PrefixSharing : public BatchTest {
 protected:
  /// `common` tokens that all requests begin with, then `own` of its own.
  static BatchRequest Request(std::uint64_t sequence, int common, int own, int max_tokens) {
    Tokens prompt = RandomTokens(common, 1000);
    const Tokens rest = RandomTokens(own, static_cast<unsigned>(sequence));
    prompt.insert(prompt.end(), rest.begin(), rest.end());
    return BatchTest::Request(sequence, std::move(prompt), max_tokens, /*round_every=*/256);
  }

  static std::vector<BatchRequest> FourRequests() {
    return {Request(1, 200, 40, 30), Request(2, 200, 90, 40), Request(3, 200, 120, 30),
            Request(4, 120, 100, 40)};
  }

  BatchOutcome Run(int tp, int cache_blocks, const std::vector<BatchRequest>& requests) const {
    return BatchTest::Run(tp, cache_blocks, requests, {.max_prompt_tokens = 64});
  }

  void ExpectTextsOfEachAlone(int tp, const std::vector<BatchRequest>& requests,
                              const BatchOutcome& together) const {
    for (const BatchRequest& request : requests) {
      const BatchOutcome alone = Run(tp, 64, {request});
      EXPECT_EQ(alone.stats.shared_tokens, 0);
      EXPECT_EQ(together.texts.at(request.sequence), alone.texts.at(request.sequence))
          << "sequence " << request.sequence;
    }
  }
};

TEST_P(PrefixSharing, SharersMakeTheTextsOfEachAlone) {
  for (const int tp : {1, 2}) {
    const std::vector<BatchRequest> requests = FourRequests();
    const BatchOutcome together = Run(tp, 96, requests);
    EXPECT_EQ(together.stats.shared_tokens, 192 + 192 + 112) << "whole blocks of 16";
    EXPECT_EQ(together.engine.tokens_shared, together.stats.shared_tokens);
    EXPECT_EQ(together.engine.blocks_shared, (192 + 192 + 112) / 16);
    EXPECT_GE(together.stats.rounds, 4) << "while rows are shared, and after";
    EXPECT_EQ(together.shard.rounds_without_blocks, 0U);
    ExpectTextsOfEachAlone(tp, requests, together);
  }
}

TEST_P(PrefixSharing, TheQueriesThatARoundLooksAtAreOnesOwn) {
  const std::vector<BatchRequest> requests = {Request(1, 200, 40, 30), Request(2, 200, 1, 30)};
  const BatchOutcome together = Run(1, 64, requests);
  EXPECT_EQ(together.stats.shared_tokens, 176) << "16 or more tokens are read before its round";
  ExpectTextsOfEachAlone(1, requests, together);
}

TEST_P(PrefixSharing, RowsThatARoundHasCompactedAreNotTakenOver) {
  OnSessions(1, Session(64), nullptr, [&](RankSession& session) {
    const auto made = BatcherOfFives(session);
    engine::Batcher& batcher = *made;
    ASSERT_TRUE(batcher.Submit(Request(1, 200, 56, 20)).ok());
    while (batcher.stats().rounds == 0) ASSERT_EQ(batcher.Step(), absl::OkStatus());
    ASSERT_TRUE(batcher.Submit(Request(2, 200, 56, 20)).ok());
    while (!batcher.idle()) ASSERT_EQ(batcher.Step(), absl::OkStatus());
    EXPECT_EQ(batcher.stats().shared_tokens, 0);
    EXPECT_EQ(batcher.stats().most_running, 2);
  });
}

TEST_P(PrefixSharing, ASharedBlockIsAdmittedOnce) {
  std::vector<BatchRequest> requests;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    requests.push_back(Request(i, 240, 20, 12));
    requests.back().options.policy = "full";
    requests.back().options.round_every = 0;
  }
  // 15 blocks of the prefix once, and two for the rest of each.
  const BatchOutcome together = Run(1, 15 + 5 * 3, requests);
  EXPECT_EQ(together.stats.most_running, 5) << "apart they would take 85 blocks";
  EXPECT_EQ(together.stats.preemptions, 0);
  ExpectTextsOfEachAlone(1, requests, together);
}

TEST_P(PrefixSharing, PreemptedSharersGoOnAsTheyWere) {
  std::vector<BatchRequest> requests = FourRequests();
  for (BatchRequest& request : requests) request.max_tokens = 120;
  const BatchOutcome together = Run(2, 42, requests);
  EXPECT_GT(together.stats.shared_tokens, 0);
  EXPECT_GT(together.stats.preemptions, 0);
  EXPECT_EQ(together.stats.resumes, together.stats.preemptions);
  EXPECT_EQ(together.shard.rounds_without_blocks, 0U);
  ExpectTextsOfEachAlone(2, requests, together);
}

TEST_P(PrefixSharing, SharersWithoutBlocksForARoundKeepEverythingAndFinish) {
  std::vector<BatchRequest> requests;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    requests.push_back(Request(i, 224, 16, 24));
    requests.back().options.round_every = 240;
  }
  const BatchOutcome together = Run(2, 14 + 4 + 1, requests);
  EXPECT_GT(together.shard.rounds_without_blocks, 0U);
  EXPECT_THAT(together.texts, SizeIs(4));
  for (const auto& [sequence, text] : together.texts) EXPECT_THAT(text, SizeIs(24));
}

TEST_P(PrefixSharing, WhatTheFirstSharerLetsGoIsNotSaved) {
  OnSessions(1, Session(64), nullptr, [&](RankSession& session) {
    engine::Engine& engine = session.engine();
    const BatchRequest request = Request(1, 320, 0, 1);
    ASSERT_TRUE(engine.AddSequence(1, request.options).ok());
    ASSERT_TRUE(session.Prefill(1, request.prompt).ok());
    ASSERT_TRUE(engine.Fork(1, 2, request.options).ok());
    const int free = engine.free_blocks();
    ASSERT_TRUE(engine.Compress({{1}}).ok());
    EXPECT_EQ(engine.free_blocks(), free - 4) << "20 % of 320 rows beside the shared ones";
    EXPECT_EQ(engine.stats().blocks_saved, -4);
    ASSERT_TRUE(engine.Compress({{2}}).ok());
    EXPECT_EQ(engine.stats().blocks_saved, -4 + 16);
    EXPECT_EQ(engine.Census(), absl::OkStatus());
  });
}

/// Forks, steps, rounds, preemptions and ends in any order: each sequence must go on like a twin
/// that shares nothing and is told the same.
class SharingTwins : public PrefixSharing {
 protected:
  /// `layers`: uniform, in one table for all; else in tables of their own.
  void ExpectTwinsAlike(const std::string& layers) const;
};

void SharingTwins::ExpectTwinsAlike(const std::string& layers) const {
  constexpr std::uint64_t kTwin = 1000;
  SeededRandom random;
  cache_service::MemoryPages pages;
  SessionOptions session_options = Session(400);
  session_options.layer_tables = layers != "uniform";
  OnSessions(1, session_options, &pages, [&](RankSession& session) {
    engine::Engine& engine = session.engine();
    SequenceOptions options = Request(1, 1, 0, 1).options;
    options.layers = layers;
    std::map<std::uint64_t, Tokens> told;
    std::uint64_t last = 0;
    const auto feed = [&](std::uint64_t sequence, const Tokens& tokens) {
      const auto outputs = engine.Step({{{sequence, tokens}}});
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      const auto twins = engine.Step({{{sequence + kTwin, tokens}}});
      ASSERT_TRUE(twins.ok()) << twins.status();
      EXPECT_EQ(outputs->front().candidates.front().logit, twins->front().candidates.front().logit);
      told[sequence].insert(told[sequence].end(), tokens.begin(), tokens.end());
    };
    for (int step = 0; step < 150; ++step) {
      const int choice = random.Int(0, 9);
      if (told.empty() || (choice == 0 && told.size() < 6)) {
        told[++last] = {};
        ASSERT_TRUE(engine.AddSequence(last, options).ok());
        ASSERT_TRUE(engine.AddSequence(last + kTwin, options).ok());
        feed(last, RandomTokens(random.Int(1, 150), random.Int(0, 1 << 20)));
        continue;
      }
      auto one = told.begin();
      std::advance(one, random.Int(0, static_cast<int>(told.size()) - 1));
      const std::uint64_t sequence = one->first;
      if (choice <= 2 && told.size() < 6) {
        // The twin of a fork swaps out and in: every block is its own.
        ++last;
        ASSERT_EQ(engine.Fork(sequence, last, options), absl::OkStatus());
        ASSERT_EQ(engine.Fork(sequence + kTwin, last + kTwin, options), absl::OkStatus());
        for (const std::uint64_t twin : {sequence + kTwin, last + kTwin}) {
          ASSERT_EQ(engine.SwapOut(twin), absl::OkStatus());
          ASSERT_EQ(engine.SwapIn(twin), absl::OkStatus());
        }
        told[last] = told[sequence];
      } else if (choice <= 4) {
        const auto outcomes = engine.Compress({{sequence, sequence + kTwin}});
        ASSERT_TRUE(outcomes.ok()) << outcomes.status();
        EXPECT_EQ(outcomes->at(0).applied, outcomes->at(1).applied);
        EXPECT_EQ(outcomes->at(0).rows, outcomes->at(1).rows);
      } else if (choice == 5) {
        ASSERT_EQ(engine.SwapOut(sequence), absl::OkStatus());
        ASSERT_EQ(engine.Census(), absl::OkStatus());
        ASSERT_EQ(engine.SwapIn(sequence), absl::OkStatus());
      } else if (choice == 6 && told.size() > 2) {
        ASSERT_EQ(engine.Remove(sequence), absl::OkStatus());
        ASSERT_EQ(engine.Remove(sequence + kTwin), absl::OkStatus());
        told.erase(sequence);
      } else {
        feed(sequence, RandomTokens(random.Int(1, 20), random.Int(0, 1 << 20)));
      }
      ASSERT_EQ(engine.Census(), absl::OkStatus()) << "step " << step;
      if (HasFatalFailure()) return;
    }
    EXPECT_GT(engine.stats().blocks_shared, 0);
  });
}

TEST_P(SharingTwins, AnyScheduleOfForksAndRoundsLeavesThemAlike) { ExpectTwinsAlike("uniform"); }

TEST_P(SharingTwins, WhoseLayersKeepUnequalCountsStayAlike) {
  for (const char* layers : {"pyramid", "adaptive"}) ExpectTwinsAlike(layers);
}

INSTANTIATE_BATCH_TEST(SharingTwins);
INSTANTIATE_BATCH_TEST(PrefixSharing);

}  // namespace
}  // namespace pinboard::app
