// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One rank, one sequence of N tokens, rows of tiny-llama's size: what a round and what recall
// behind a decode step cost as N grows. Time is that of the shard's calls: the stand-in for an
// engine makes the prompt's rows outside of it.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "tests/shard/toy_group.h"

namespace pinboard {
namespace {

constexpr std::uint64_t kPrompt = 1;
constexpr std::uint64_t kCompressed = 2;
constexpr int kChunk = 1024;
constexpr int kDecodeSteps = 64;

testing::ToyModel Model(int tokens) {
  testing::ToyModel model;
  model.layers = 4;
  model.heads = 8;
  model.kv_heads = 2;
  model.key_dim = 64;
  model.value_dim = 64;
  model.hidden = 64;
  model.vocab = 64;
  model.blocks = 2 * (tokens / model.block_size) + 64;  // the prompt and its fork
  return model;
}

ShardOptions Options() {
  ShardOptions options;
  options.top_k = 16;
  options.wait_for_pages = true;
  options.round_deadline_ms = 600'000;
  return options;
}

SequenceOptions Policy(int recall_pages) {
  SequenceOptions options;
  options.recall_pages = recall_pages;
  if (recall_pages == 0) options.band = 0.0;
  return options;
}

/// A group of one that has read a prompt of `tokens`.
class LongPrompt {
 public:
  LongPrompt(int tokens, const SequenceOptions& options) : group_(Model(tokens), 1, Options()) {
    ok_ = rank().Add(kPrompt, options).ok();
    for (int read = 0; ok_ && read < tokens; read += kChunk) {
      ok_ = rank().Step({kPrompt}, std::min(kChunk, tokens - read)).ok();
    }
  }

  testing::ToyRank& rank() { return group_.rank(0); }
  bool ok() const { return ok_; }

 private:
  testing::ToyGroup group_;
  bool ok_ = false;
};

bool Compress(testing::ToyRank& rank) {
  const auto outcomes = rank.Compress({kCompressed});
  return outcomes.ok() && outcomes.value().front().applied;
}

/// 10 % kept, 40 % to the service: scores, plan, offload, compaction.
void CompressionRound(benchmark::State& state) {
  const SequenceOptions options = Policy(/*recall_pages=*/16);
  LongPrompt prompt(static_cast<int>(state.range(0)), options);
  for (auto _ : state) {
    state.PauseTiming();
    bool ok = prompt.ok() && prompt.rank().Fork(kPrompt, kCompressed, options).ok();
    state.ResumeTiming();
    ok = ok && Compress(prompt.rank());
    state.PauseTiming();
    ok = ok && prompt.rank().Remove(kCompressed).ok();
    if (!ok) state.SkipWithError("the shard refused");
    state.ResumeTiming();
  }
  state.SetComplexityN(state.range(0));
}
BENCHMARK(CompressionRound)
    ->RangeMultiplier(2)
    ->Range(1 << 10, 1 << 16)
    ->Iterations(5)
    ->Complexity(benchmark::oN)
    ->Unit(benchmark::kMillisecond);

/// A step of one token after the round, with so many ring pages; 0: the step alone.
void DecodeStep(benchmark::State& state) {
  const SequenceOptions options = Policy(static_cast<int>(state.range(1)));
  LongPrompt prompt(static_cast<int>(state.range(0)), options);
  bool ok = prompt.ok() && prompt.rank().Fork(kPrompt, kCompressed, options).ok() &&
            Compress(prompt.rank());
  for (auto _ : state) {
    ok = ok && prompt.rank().Step({kCompressed}, 1).ok();
    if (!ok) state.SkipWithError("the shard refused");
  }
  const ShardStats stats = prompt.rank().shard().stats();
  state.counters["pages/step"] = benchmark::Counter(static_cast<double>(stats.pages_recalled),
                                                    benchmark::Counter::kAvgIterations);
  state.SetComplexityN(state.range(0));
}
BENCHMARK(DecodeStep)
    ->ArgsProduct({benchmark::CreateRange(1 << 10, 1 << 16, 2), {16}})
    ->Iterations(kDecodeSteps)
    ->Complexity(benchmark::oN)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(DecodeStep)
    ->Name("DecodeStepWithoutRecall")
    ->ArgsProduct({benchmark::CreateRange(1 << 10, 1 << 16, 2), {0}})
    ->Iterations(kDecodeSteps)
    ->Unit(benchmark::kMicrosecond);

/// A step of one token of many sequences of 2,048 tokens, 32 layers of the smallest rows, pages
/// never waited for: what rings and pages cost the host whatever their bytes. Without ring pages:
/// the step alone.
void DecodeStepOfMany(benchmark::State& state) {
  constexpr int kTokens = 2048;
  const int count = static_cast<int>(state.range(0));
  testing::ToyModel model = Model(kTokens * (count + 1));
  model.layers = 32;
  model.heads = 1;
  model.kv_heads = 1;
  model.key_dim = model.value_dim = 16;
  model.hidden = 8;
  ShardOptions options = Options();
  options.wait_for_pages = false;
  SequenceOptions policy = Policy(static_cast<int>(state.range(1)));
  if (policy.band > 0) policy.band = 0.2;
  testing::ToyGroup group(model, 1, options);
  testing::ToyRank& rank = group.rank(0);
  std::vector<std::uint64_t> sequences;
  bool ok = true;
  for (int i = 0; i < count; ++i) {
    sequences.push_back(i + 1);
    ok = ok && rank.Add(sequences.back(), policy).ok() &&
         rank.Step({sequences.back()}, kTokens).ok() && rank.Compress({sequences.back()}).ok();
  }
  for (int i = 0; i < kDecodeSteps; ++i) ok = ok && rank.Step(sequences, 1).ok();
  const std::uint64_t before = rank.shard().stats().pages_recalled;
  for (auto _ : state) {
    ok = ok && rank.Step(sequences, 1).ok();
    if (!ok) state.SkipWithError("the shard refused");
  }
  state.counters["pages/step"] =
      benchmark::Counter(static_cast<double>(rank.shard().stats().pages_recalled - before),
                         benchmark::Counter::kAvgIterations);
}
BENCHMARK(DecodeStepOfMany)
    ->ArgsProduct({{4, 34}, {0, 16}})
    ->Iterations(kDecodeSteps)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace pinboard
