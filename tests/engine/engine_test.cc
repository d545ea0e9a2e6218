// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The engine around its forward pass: blocks, errors, and what a shard is told.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_group.h"
#include "tests/engine/plain_model.h"
#include "tests/engine/recording_shard.h"
#include "tests/engine/tiny_model.h"

namespace pinboard::engine {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RecordingShard;
using testing::TokenIds;

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() : EngineTest(testing::TinyLlamaJson()) {}
  explicit EngineTest(const nlohmann::json& json)
      : model_(testing::MakeTinyModel(json, 3)), directory_("engine") {
    testing::WriteTinyModel(model_, directory_);
    engine_ = *Engine::Load({.model_dir = directory_.path(),
                             .cache_blocks = 6,
                             .cache_dtype = DType::kF32,
                             .max_step_tokens = 90},
                            nullptr);
  }

  absl::StatusOr<std::vector<StepOutput>> Step(const std::vector<testing::GroupInput>& inputs,
                                               LogitsWanted logits = LogitsWanted::kNone) {
    std::vector<StepInput> step;
    for (const auto& input : inputs) step.push_back({input.sequence, input.tokens, logits});
    return engine_->Step(step);
  }

  /// q . k of what the shard is told and what lies in the cache is the attention logit: of the last
  /// of five tokens and the third one's key, in every head; and of all five keys the sum of
  /// exponentials that it is told.
  void ExpectObservedQueriesMeetTheCache(int key_dim, int heads_per_kv_head) {
    constexpr int kHeads = 8;
    ASSERT_TRUE(engine_->Attach(&shard_).ok());
    ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
    const TokenIds tokens = {9, 8, 7, 6, 5};
    ASSERT_TRUE(Step({{1, tokens}}).ok());
    const auto plain = testing::PlainModel(model_).FirstLayerLogits(tokens);
    const ShardModel shard_model = engine_->MakeShardModel();
    const KvPlane plane = shard_model.cache[0].key;
    for (int head = 0; head < kHeads; ++head) {
      const float* query = shard_.queries[0].data() + (4 * kHeads + head) * key_dim;
      const auto logit = [&](int row) {
        const auto* key = reinterpret_cast<const float*>(
            plane.base + row * plane.token_stride + head / heads_per_kv_head * plane.head_stride);
        return std::inner_product(query, query + key_dim, key, 0.0) * shard_model.attention_scale;
      };
      EXPECT_NEAR(logit(2), plain[head], 1e-4);
      double sum = 0;
      for (int row = 0; row < 5; ++row) sum += std::exp(logit(row));
      EXPECT_NEAR(shard_.log_sum_exps[0][4 * kHeads + head], std::log(sum), 1e-4);
    }
  }

  testing::TinyModel model_;
  testing::TinyDirectory directory_;
  RecordingShard shard_;
  std::unique_ptr<Engine> engine_;
};

class MlaEngineTest : public EngineTest {
 protected:
  MlaEngineTest() : EngineTest(testing::TinyDeepseekJson()) {}
};

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

TEST_F(EngineTest, StepsThatMakeNoSenseAreNamedAndChangeNothing) {
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  EXPECT_EQ(engine_->AddSequence(1, {}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Step({{2, {1}}}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(Step({{1, {1}}, {1, {2}}}).status()), HasSubstr("once in a step"));
  EXPECT_THAT(MessageOf(Step({{1, {}}}).status()), HasSubstr("at least one token"));
  EXPECT_THAT(MessageOf(Step({{1, {5, 96}}}).status()), HasSubstr("token id 96"));
  EXPECT_THAT(MessageOf(Step({{1, {-1}}}).status()), HasSubstr("token id -1"));
  EXPECT_THAT(MessageOf(Step({}).status()), HasSubstr("a step of 0 tokens"));
  EXPECT_THAT(MessageOf(Step({{1, TokenIds(91, 1)}}).status()), HasSubstr("1 to 90"));
  EXPECT_EQ(engine_->Rows(1), 0);
  EXPECT_EQ(engine_->free_blocks(), 6);
}

TEST_F(EngineTest, TooFewBlocksChangeNothing) {
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(engine_->AddSequence(2, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(60, 3)}}).ok());
  EXPECT_EQ(Step({{2, TokenIds(20, 3)}, {1, TokenIds(5, 3)}}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(engine_->free_blocks(), 2);
  EXPECT_EQ(engine_->BlocksUsed(1), 4);
  ASSERT_TRUE(engine_->Remove(2).ok());
  ASSERT_TRUE(engine_->AddSequence(3, {}).ok());
  ASSERT_TRUE(Step({{3, TokenIds(32, 3)}}).ok());
  ASSERT_TRUE(engine_->Remove(1).ok());
  EXPECT_EQ(engine_->free_blocks(), 4);
}

TEST_F(EngineTest, BytesAreCountedFromBlocks) {
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(17, 3)}}).ok());
  const std::size_t row = 3U * 2 * 8 * 2 * sizeof(float);  // layers, KV heads, dim, K and V
  EXPECT_EQ(engine_->RowBytes(), row);
  EXPECT_EQ(engine_->ResidentKvBytes(1), 32 * row);
  EXPECT_EQ(engine_->ResidentKvBytes(9), 0U);
}

TEST_F(EngineTest, OnlyWantedLogitsAreHandedOut) {
  for (const std::uint64_t sequence : {1, 2, 3}) {
    ASSERT_TRUE(engine_->AddSequence(sequence, {}).ok());
  }
  const TokenIds tokens = {4, 5, 6};
  const std::vector<StepInput> inputs = {
      {1, tokens}, {2, tokens, LogitsWanted::kLast}, {3, tokens, LogitsWanted::kAll}};
  const auto outputs = *engine_->Step(inputs);
  EXPECT_TRUE(outputs[0].logits.empty());
  ASSERT_EQ(outputs[1].logits.size(), 96U);
  ASSERT_EQ(outputs[2].logits.size(), 3U * 96);
  EXPECT_NEAR(outputs[2].logits.back(), outputs[1].logits.back(), 1e-4);
  const auto best = std::max_element(outputs[1].logits.begin(), outputs[1].logits.end());
  for (const StepOutput& output : outputs) {
    EXPECT_EQ(output.candidates.at(0).id, best - outputs[1].logits.begin());
  }
}

TEST_F(EngineTest, AShardIsToldOfAStepInTheDocumentedOrder) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(7, {.policy = "snapkv"}).ok());
  ASSERT_TRUE(engine_->AddSequence(8, {}).ok());
  EXPECT_EQ(shard_.sequences[7].options.policy, "snapkv");
  shard_.calls.clear();
  const auto outputs = Step({{8, {1, 2, 3}}, {7, {4}}}, LogitsWanted::kAll);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(
      shard_.calls,
      ElementsAre("BeginStep", "ObserveQueries 0", "RecallLayer 0", "ObserveLogSumExps 0",
                  "ObserveHidden 0", "ObserveQueries 1", "RecallLayer 1", "ObserveLogSumExps 1",
                  "ObserveHidden 1", "ObserveQueries 2", "RecallLayer 2", "ObserveLogSumExps 2",
                  "ObserveHidden 2", "ObserveLogits", "ExchangeScores", "EndStep"));
  EXPECT_EQ(shard_.entries.at(0).sequence, 8U);
  EXPECT_EQ(shard_.entries.at(0).tokens, 3);
  EXPECT_EQ(shard_.queries.at(2).size(), 4U * 8 * 8);
  EXPECT_EQ(shard_.log_sum_exps.at(2).size(), 4U * 8);
  EXPECT_EQ(shard_.hidden.at(2).size(), 4U * 64);
  EXPECT_THAT(shard_.logits_tokens, ElementsAre(std::pair(0, 4)));
  ASSERT_EQ(shard_.logits.size(), 4U * 96);
  EXPECT_EQ(shard_.logits.back(), (*outputs)[1].logits.back());
  EXPECT_EQ((*outputs)[0].candidates.at(0).id, 8);
  EXPECT_EQ((*outputs)[0].next_entropy, 0.25F);
}

// From the stream that enters a layer, its own queries are foreseen exactly; those of a later layer
// miss what the layers between add.
TEST_F(EngineTest, ForeseesTheQueriesThatTheShardWants) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  shard_.foresee[1] = {1, 2};
  shard_.calls.clear();
  ASSERT_TRUE(Step({{1, {1, 2, 3}}}).ok());
  EXPECT_THAT(shard_.calls, ::testing::IsSupersetOf({"ForeseeQueries 1 1", "ForeseeQueries 1 2"}));
  ASSERT_EQ(shard_.foreseen.size(), 2U);
  EXPECT_EQ(shard_.foreseen[0], shard_.queries[1]);
  ASSERT_EQ(shard_.foreseen[1].size(), shard_.queries[2].size());
  EXPECT_NE(shard_.foreseen[1], shard_.queries[2]);
}

TEST_F(EngineTest, ObservedQueriesMeetTheCachedKeys) {
  ExpectObservedQueriesMeetTheCache(/*key_dim=*/8, /*heads_per_kv_head=*/4);
}

TEST_F(MlaEngineTest, AbsorbedQueriesMeetTheCachedLatents) {
  ExpectObservedQueriesMeetTheCache(/*key_dim=*/32, /*heads_per_kv_head=*/8);
  EXPECT_TRUE(engine_->MakeShardModel().kv.value_in_key);
  EXPECT_EQ(engine_->MakeShardModel().cache[0].value.base, nullptr);
}

TEST_F(EngineTest, ACommittedRoundFreesBlocksAndMovesTheNextRows) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(engine_->AddSequence(2, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(50, 3)}, {2, TokenIds(10, 3)}}).ok());
  EXPECT_EQ(engine_->free_blocks(), 1);
  shard_.outcomes = {{.sequence = 1, .applied = true, .rows = {20}, .blocks = {2}},
                     {.sequence = 2, .applied = false, .kept_all_because = "nothing to gain"}};
  const std::vector<std::uint64_t> both = {1, 2};
  const auto outcomes = engine_->Compress(both);
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(outcomes->at(1).kept_all_because, "nothing to gain");
  EXPECT_EQ(shard_.round_tables[1].size(), 4U);
  EXPECT_EQ(engine_->Rows(1), 20);
  EXPECT_EQ(engine_->Length(1), 50);
  EXPECT_EQ(engine_->BlocksUsed(1), 2);
  EXPECT_EQ(engine_->Rows(2), 10);
  EXPECT_EQ(engine_->free_blocks(), 3);
  ASSERT_TRUE(Step({{1, {4}}}).ok());
  EXPECT_EQ(engine_->Rows(1), 21);
  EXPECT_EQ(engine_->Length(1), 51);
}

TEST_F(EngineTest, AForkTakesBlocksOnlyForItsRingAndForWhatItWrites) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(40, 3)}}).ok());
  ASSERT_TRUE(engine_->Fork(1, 2, {}).ok());
  EXPECT_EQ(engine_->free_blocks(), 3);
  EXPECT_EQ(engine_->BlocksMissing(2, 1), 1) << "a copy of the last block";
  ASSERT_TRUE(Step({{2, {5}}}).ok());
  EXPECT_EQ(engine_->free_blocks(), 2);
  EXPECT_EQ(engine_->BlocksMissing(1, 1), 0) << "alone in its last block";
  EXPECT_EQ(engine_->stats().blocks_copied, 1);
  shard_.ring_rows = 16;
  EXPECT_EQ(engine_->Census().code(), absl::StatusCode::kInternal) << "the ring is shared";
  ASSERT_TRUE(engine_->Fork(1, 3, {}).ok());
  EXPECT_EQ(engine_->free_blocks(), 1);
  ASSERT_TRUE(engine_->Fork(1, 4, {}).ok());
  EXPECT_EQ(engine_->Fork(1, 5, {}).code(), absl::StatusCode::kResourceExhausted);
  shard_.ring_rows = 0;
  EXPECT_EQ(engine_->Census(), absl::OkStatus());
  EXPECT_TRUE(engine_->AddSequence(5, {}).ok()) << "a failed fork must leave no sequence";
  for (const std::uint64_t sequence : {1, 2, 3, 4, 5}) {
    ASSERT_TRUE(engine_->Remove(sequence).ok());
    EXPECT_EQ(engine_->Census(), absl::OkStatus());
  }
  EXPECT_EQ(engine_->free_blocks(), 6);
}

TEST_F(EngineTest, APrefixIsForkedAtAnyLengthThatIsThereWhole) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(40, 3)}}).ok());
  EXPECT_EQ(engine_->ForkPrefix(1, 2, 41, {}).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(engine_->ForkPrefix(1, 2, 20, {}).ok());
  EXPECT_EQ(engine_->Rows(2), 20);
  EXPECT_EQ(engine_->Length(2), 20);
  EXPECT_EQ(engine_->BlocksUsed(2), 2);
  EXPECT_EQ(engine_->free_blocks(), 3);
  shard_.outcomes = {{.sequence = 1, .applied = true, .rows = {10}, .blocks = {1}}};
  shard_.planned_rows[1] = 10;
  ASSERT_TRUE(engine_->Compress({{1}}).ok());
  EXPECT_EQ(engine_->ForkPrefix(1, 3, 5, {}).code(), absl::StatusCode::kFailedPrecondition)
      << "its first rows are no longer those of its first tokens";
  EXPECT_TRUE(engine_->ForkPrefix(1, 3, 40, {}).ok());
  EXPECT_EQ(engine_->Census(), absl::OkStatus());
}

TEST_F(EngineTest, ARoundOfASharerMovesItsRowsIntoReservedBlocksAndSavesNothing) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(48, 3)}}).ok());
  ASSERT_TRUE(engine_->Fork(1, 2, {}).ok());
  shard_.planned_rows = {{1, 20}, {2, 20}};
  ASSERT_TRUE(engine_->BeginRound({{1}}).ok());
  EXPECT_EQ(engine_->free_blocks(), 1);
  EXPECT_EQ(engine_->Fork(1, 3, {}).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Step({{1, TokenIds(3, 3)}}).ok());
  EXPECT_EQ(engine_->Census(), absl::OkStatus());
  shard_.outcomes = {{.sequence = 1, .applied = true, .rows = {23}, .blocks = {2}}};
  ASSERT_TRUE(engine_->CommitRound({{1}}).ok());
  EXPECT_THAT(shard_.destinations[1], ElementsAre(3, 4));
  EXPECT_EQ(engine_->Census(), absl::OkStatus());
  EXPECT_EQ(engine_->free_blocks(), 1) << "the block appended to is free, no other is";
  EXPECT_EQ(engine_->stats().blocks_saved, 1 - 2);
  shard_.outcomes = {{.sequence = 2, .applied = true, .rows = {20}, .blocks = {2}}};
  ASSERT_TRUE(engine_->Compress({{2}}).ok());
  EXPECT_THAT(shard_.destinations[2], ElementsAre()) << "it shares nothing now: in place";
  EXPECT_EQ(engine_->stats().blocks_saved, 1 - 2 + 1);
  EXPECT_EQ(engine_->Census(), absl::OkStatus());
}

TEST_F(EngineTest, ASharerForWhichNoBlocksAreFreeKeepsEverything) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(80, 3)}}).ok());
  ASSERT_TRUE(engine_->Fork(1, 2, {}).ok());
  shard_.planned_rows = {{1, 20}, {2, 16}};
  shard_.outcomes = {{.sequence = 1}, {.sequence = 2}};
  ASSERT_TRUE(engine_->BeginRound({{1, 2}}).ok());
  EXPECT_THAT(shard_.keeps_all, ElementsAre(1)) << "2 needs one block, 1 would need two";
  ASSERT_TRUE(engine_->CommitRound({{1, 2}}).ok());
  EXPECT_EQ(engine_->free_blocks(), 1) << "what was reserved came back";
  EXPECT_EQ(engine_->Census(), absl::OkStatus());
  shard_.refuse = Status(StatusCode::kUnavailable, "rank 1 is lost");
  EXPECT_EQ(engine_->BeginRound({{2}}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(engine_->free_blocks(), 1);
}

TEST_F(EngineTest, ASwappedOutSharerLeavesTheOthersTheirBlocks) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(40, 3)}}).ok());
  ASSERT_TRUE(engine_->Fork(1, 2, {}).ok());
  ASSERT_TRUE(Step({{1, {7}}, {2, {7}}}).ok());
  const std::vector<float> before = shard_.queries[2];
  ASSERT_TRUE(engine_->SwapOut(2).ok());
  EXPECT_EQ(engine_->free_blocks(), 3) << "its copy of the last block";
  EXPECT_EQ(engine_->Census(), absl::OkStatus());
  ASSERT_TRUE(engine_->SwapIn(2).ok());
  EXPECT_EQ(engine_->free_blocks(), 0);
  EXPECT_EQ(engine_->Census(), absl::OkStatus());
  ASSERT_TRUE(Step({{1, {9}}, {2, {9}}}).ok());
  const auto& both = shard_.queries[2];
  EXPECT_TRUE(
      std::equal(both.begin(), both.begin() + both.size() / 2, both.begin() + both.size() / 2))
      << "both see the same rows";
}

TEST_F(EngineTest, PositionsGoOnAfterACompactionAsIfNothingHadBeenEvicted) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(50, 3)}}).ok());
  ASSERT_TRUE(Step({{1, {4}}}).ok());
  const std::vector<float> expected = shard_.queries[0];  // of token 4 at position 50
  ASSERT_TRUE(engine_->AddSequence(2, {}).ok());
  ASSERT_TRUE(Step({{2, TokenIds(30, 3)}}).ok());
  shard_.outcomes = {{.sequence = 2, .applied = true, .rows = {5}, .blocks = {1}}};
  const std::vector<std::uint64_t> two = {2};
  ASSERT_TRUE(engine_->Compress(two).ok());
  ASSERT_TRUE(Step({{2, TokenIds(20, 3)}}).ok());
  ASSERT_TRUE(Step({{2, {4}}}).ok());
  EXPECT_THAT(shard_.queries[0], ::testing::Pointwise(::testing::FloatNear(1e-5F), expected));
}

TEST_F(EngineTest, RowsAppendedBetweenBeginAndCommitStay) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(50, 3)}}).ok());
  const std::vector<std::uint64_t> one = {1};
  ASSERT_TRUE(engine_->BeginRound(one).ok());
  ASSERT_TRUE(Step({{1, TokenIds(20, 3)}}).ok());
  shard_.outcomes = {{.sequence = 1, .applied = true, .rows = {30}, .blocks = {2}}};
  ASSERT_TRUE(engine_->CommitRound(one).ok());
  EXPECT_EQ(shard_.round_tables[1].size(), 5U);
  EXPECT_EQ(engine_->BlocksUsed(1), 2);
}

TEST_F(EngineTest, AnOutcomeThatCannotBeIsInternal) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(50, 3)}}).ok());
  const std::vector<std::uint64_t> one = {1};
  shard_.outcomes = {{.sequence = 1, .applied = true, .rows = {51}, .blocks = {4}}};
  EXPECT_EQ(engine_->Compress(one).status().code(), absl::StatusCode::kInternal);
  shard_.outcomes = {{.sequence = 1, .applied = true, .rows = {33}, .blocks = {2}}};
  EXPECT_EQ(engine_->Compress(one).status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(MessageOf(Step({{1, {1}}}).status()), HasSubstr("the shard counts 33 rows"));
}

TEST_F(EngineTest, WithoutAShardNothingIsCompressed) {
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  const std::vector<std::uint64_t> one = {1};
  EXPECT_EQ(engine_->Compress(one).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(engine_->Attach(&shard_).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(EngineTest, WhatTheShardRefusesLeavesTheEngineAsItWas) {
  ASSERT_TRUE(engine_->Attach(&shard_).ok());
  ASSERT_TRUE(engine_->AddSequence(1, {}).ok());
  ASSERT_TRUE(Step({{1, TokenIds(17, 3)}}).ok());
  shard_.refuse = Status(StatusCode::kInvalidArgument, "unknown policy");
  EXPECT_EQ(MessageOf(engine_->AddSequence(2, {})), "unknown policy");
  EXPECT_EQ(MessageOf(engine_->Fork(1, 2, {})), "unknown policy");
  EXPECT_EQ(MessageOf(Step({{1, TokenIds(40, 3)}}).status()), "unknown policy");
  shard_.refuse = {};
  shard_.refuse_end = Status(StatusCode::kUnavailable, "rank 1 is lost");
  EXPECT_EQ(Step({{1, TokenIds(40, 3)}}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(engine_->Rows(1), 17);
  EXPECT_EQ(engine_->BlocksUsed(1), 2);
  EXPECT_EQ(engine_->free_blocks(), 4);
  shard_.refuse_end = {};
  EXPECT_TRUE(engine_->AddSequence(2, {}).ok());
}

TEST_F(EngineTest, CollectivesOfAStepAreTheSameWhateverItHolds) {
  testing::EngineGroup group({.model_dir = directory_.path(), .cache_blocks = 8}, 2);
  group.Add(1);
  group.Add(2);
  const auto issued = [&] { return group.communicator(0)->issued(); };
  const auto before = issued();
  group.Step({{1, TokenIds(20, 3)}});
  const auto first = issued() - before;
  group.Step({{1, {3}}, {2, TokenIds(7, 3)}});
  EXPECT_EQ(issued() - before, 2 * first);
  EXPECT_EQ(first, 1U + 2 * 3 + 1);  // embedding, two per layer, candidates
  EXPECT_EQ(group.communicator(1)->issued(), issued());
}

TEST(EngineLoadTest, WithoutADeviceTheCudaBackendIsRefusedInOneLine) {
  testing::TinyDirectory directory("no-device");
  testing::WriteTinyModel(testing::MakeTinyModel(testing::TinyLlamaJson(), 3), directory);
  const auto engine = Engine::Load(
      {.backend = Backend::kCuda, .model_dir = directory.path(), .cache_blocks = 6}, nullptr);
  if (engine.ok()) GTEST_SKIP() << "this machine has a CUDA device";
  EXPECT_THAT(MessageOf(engine.status()),
              AnyOf("this build has no CUDA: build with preset cuda-release",
                    "no CUDA device on this machine: use --backend cpu, or a machine with one"));
}

TEST(EngineLoadTest, ALostRankIsUnavailable) {
  const testing::TinyModel model = testing::MakeTinyModel(testing::TinyLlamaJson(), 3);
  testing::TinyDirectory directory("lost");
  testing::WriteTinyModel(model, directory);
  transport::LocalGroup group(2);
  auto survivor = group.Join(0), lost = group.Join(1);
  auto engine = *Engine::Load({.model_dir = directory.path(), .cache_blocks = 2}, survivor.get());
  ASSERT_TRUE(engine->AddSequence(1, {}).ok());
  lost.reset();
  const TokenIds tokens = {1, 2};
  const absl::Status status = engine->Step({{{1, tokens}}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(engine->Rows(1), 0);
  EXPECT_EQ(engine->free_blocks(), 2);
}

}  // namespace
}  // namespace pinboard::engine
