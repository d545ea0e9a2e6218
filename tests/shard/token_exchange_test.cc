// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// H and the candidates of a step are those of the whole vocabulary, however ranks exchange them.
#include "shard/token_exchange.h"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>
#include <tuple>
#include <vector>

#include "kernels/entropy/entropy.h"
#include "tests/shard/device_group.h"
#include "tests/support/seeded_random.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::testing {
namespace {

constexpr int kTopK = 8;
constexpr int kVocabLocal = 20;
constexpr int kChunk = 4;
/// Tokens of the step's sequences: the last ones of some lie side by side.
const std::vector<int> kTokens = {5, 1, 1, 3, 1};

int AllTokens() { return std::accumulate(kTokens.begin(), kTokens.end(), 0); }

/// Number of ranks, and whether they can gather where the tensors are.
class TokenExchangeOverRanks : public ::testing::TestWithParam<std::tuple<int, bool>> {
 protected:
  int tp() const { return std::get<0>(GetParam()); }
  bool in_place() const { return std::get<1>(GetParam()); }
  int vocab() const { return tp() * kVocabLocal; }

  absl::StatusOr<TokenExchangeResult> RunRank(std::unique_ptr<transport::Communicator> inner,
                                              const std::vector<float>& logits) const {
    const int rank = inner->rank();
    if (in_place()) {
      inner = std::make_unique<DeviceGroup>(std::move(inner), [] { return absl::OkStatus(); });
    }
    ShardContext context;
    context.communicator = inner.get();
    context.operations = MakeHostOperations();
    context.options.top_k = kTopK;
    ShardModel& model = context.options.model;
    model.layers = 1;
    model.block_size = 16;
    model.vocab_local = kVocabLocal;
    model.vocab_begin = rank * kVocabLocal;
    const std::vector<std::int32_t> table = {0};
    std::vector<StepEntry> entries;
    for (std::size_t i = 0; i < kTokens.size(); ++i) {
      context.sequences[i].layers.resize(1);
      entries.push_back({i, kTokens[i], {table}});
    }
    StepRecorder recorder(&context);
    TokenExchange exchange(&context);
    PB_RETURN_IF_ERROR(recorder.Begin(entries));
    for (int first = 0; first < AllTokens(); first += kChunk) {
      std::vector<float> own;
      const int end = std::min(first + kChunk, AllTokens());
      for (int token = first; token < end; ++token) {
        const auto row = logits.begin() + token * vocab() + model.vocab_begin;
        own.insert(own.end(), row, row + kVocabLocal);
      }
      PB_RETURN_IF_ERROR(recorder.Logits(first, end - first, own));
    }
    PB_RETURN_IF_ERROR(exchange.Begin(recorder));
    PB_RETURN_IF_ERROR(context.operations->Finish());
    return exchange.Complete(recorder, {static_cast<std::uint8_t>(rank), 77});
  }
};

TEST_P(TokenExchangeOverRanks, GivesWhatOneRankWithTheWholeVocabularyHas) {
  SeededRandom random;
  const auto logits = random.Normals(static_cast<std::size_t>(AllTokens()) * vocab());
  std::vector<float> values(AllTokens() * kTopK), entropy(AllTokens());
  std::vector<std::int32_t> ids(values.size());
  ASSERT_TRUE(kernels::TopKLogits(logits, AllTokens(), vocab(), 0, kTopK, absl::MakeSpan(values),
                                  absl::MakeSpan(ids))
                  .ok());
  ASSERT_TRUE(kernels::MergedEntropy(values, 1, AllTokens(), kTopK, kernels::EntropyUnit::kNats,
                                     absl::MakeSpan(entropy))
                  .ok());

  transport::LocalGroup group(tp());
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < tp(); ++rank) {
    ranks.emplace_back([&, communicator = group.Join(rank)]() mutable {
      const auto result = RunRank(std::move(communicator), logits);
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->entropy_after, entropy);
      ASSERT_EQ(result->reports.size(), 2U * tp());
      for (int other = 0; other < tp(); ++other) {
        EXPECT_EQ(result->reports[2 * other], other);
        EXPECT_EQ(result->reports[2 * other + 1], 77);
      }
      int last = -1;
      for (std::size_t slice = 0; slice < kTokens.size(); ++slice) {
        last += kTokens[slice];
        const auto& candidates = result->candidates[slice];
        ASSERT_EQ(candidates.size(), std::size_t{kTopK});
        for (int i = 0; i < kTopK; ++i) {
          EXPECT_EQ(candidates[i].id, ids[last * kTopK + i]) << slice;
          EXPECT_EQ(candidates[i].logit, values[last * kTopK + i]) << slice;
        }
      }
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

INSTANTIATE_TEST_SUITE_P(All, TokenExchangeOverRanks,
                         ::testing::Combine(::testing::Values(1, 2, 5), ::testing::Bool()));

}  // namespace
}  // namespace pinboard::testing
