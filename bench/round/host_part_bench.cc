// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The host's part of rounds of a DeepSeek-R1-shaped rank: the same calls as `round_bench whole`,
// with operations whose time does not count. Medians of this thread's CPU time, so what other
// threads do beside it does not count either. Needs no GPU.
//
// usage: host_part_bench [sequences] [context]    8 of 32768 tokens unless said otherwise
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "bench/median.h"
#include "bench/round/idle_operations.h"
#include "bench/round/rank_rounds.h"
#include "shard/shard_runtime.h"
#include "tests/support/memory_page_store.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::bench {
namespace {

constexpr int kLayers = 61;
constexpr int kBlockSize = 64;
constexpr int kChunk = 1024;
constexpr int kTokens = 128;
constexpr int kRounds = 15;

void Run(int sequences, int context_tokens) {
  transport::LocalGroup group(1);
  const auto communicator = group.Join(0);
  cache_service::MemoryPages pages;
  pages.FailLeases(absl::ResourceExhaustedError("no slabs"));
  cache_service::MemoryPageStore store(pages);
  std::vector<std::byte> nothing(1);
  ShardContext context;
  ShardModel& model = context.options.model;
  model.layers = kLayers;
  model.query_heads = model.total_query_heads = 1;
  model.kv = {1, 16, 16, true, DType::kBF16};
  model.hidden_dim = 1;
  model.vocab_local = 2;
  model.block_size = kBlockSize;
  model.cache.assign(kLayers, {{nothing.data(), 32 * kBlockSize, 32, 32}, {}});
  context.options.top_k = 2;
  context.options.quality_every = 0;
  context.communicator = communicator.get();
  context.store = &store;
  double inside_ms = 0.0;
  context.operations = MakeIdleOperations(&inside_ms);
  const std::vector<std::int32_t> table(context_tokens / kBlockSize + kRounds * 2 + 1);
  const int tokens = std::max(kChunk, kTokens * sequences);
  const std::vector<float> values(std::size_t(tokens) * 16);
  const std::span<const float> one(values.data(), tokens);
  RankRounds rounds(std::make_unique<ShardRuntime>(std::move(context)), kLayers,
                    std::vector<std::vector<std::int32_t>>(sequences, table),
                    {tokens, values, {}, one, {values.data(), std::size_t(tokens) * 2}});
  const auto measure = [&](int first, int end) {
    inside_ms = 0.0;
    const double start = ThreadMs();
    rounds.Begin(first, end);
    const double begun = ThreadMs() - inside_ms;
    rounds.Commit(first, end);
    return std::pair(begun - start, ThreadMs() - inside_ms - begun);
  };
  const auto print = [](const char* what, const std::vector<std::pair<double, double>>& times) {
    const auto [begin, commit] = Median(times);
    std::printf("%s: begin %.2f ms, commit %.2f\n", what, begin, commit);
  };
  std::vector<std::pair<double, double>> times;
  for (int s = 0; s < sequences; ++s) {
    for (int read = 0; read < context_tokens; read += kChunk) rounds.Step(s, s + 1, kChunk);
    times.push_back(measure(s, s + 1));
  }
  print("after the prompt, a sequence", times);
  times.clear();
  for (int round = 0; round < kRounds; ++round) {
    rounds.Step(0, sequences, kTokens);
    times.push_back(measure(0, sequences));
  }
  print("while decoding, all sequences", times);
}

}  // namespace
}  // namespace pinboard::bench

int main(int argc, char** argv) {
  pinboard::bench::Run(argc > 1 ? std::atoi(argv[1]) : 8, argc > 2 ? std::atoi(argv[2]) : 32'768);
}
