// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention_score/attention_score.h"

#include <benchmark/benchmark.h>

#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "bench/kernels/bench_cache.h"

namespace pinboard::kernels {
namespace {

/// One layer: `window` last queries of `query_heads` heads over `rows` rows, pooled by 5.
void Score(benchmark::State& state, const KvShape& shape, int query_heads) {
  const int rows = static_cast<int>(state.range(0));
  const int window = static_cast<int>(state.range(1));
  const BenchCache cache(shape, rows);
  std::vector<std::int32_t> positions(rows);
  std::iota(positions.begin(), positions.end(), 0);
  std::vector<float> queries(static_cast<std::size_t>(window) * query_heads * shape.key_dim);
  std::mt19937 random(2);
  for (float& value : queries) value = std::normal_distribution<float>()(random);
  std::vector<std::int32_t> out(rows);
  for (auto _ : state) {
    const absl::Status status = AttentionScore(
        {cache.view, shape, kBenchBlockSize, cache.block_table, positions, 0, positions, queries,
         absl::MakeConstSpan(positions).last(window), query_heads, query_heads, 0.1F, 5},
        absl::MakeSpan(out));
    if (!status.ok()) state.SkipWithError(std::string(status.message()).c_str());
    benchmark::DoNotOptimize(out.data());
  }
  // Pairs that causality leaves; softmax and pooling are not counted.
  const double pairs = static_cast<double>(window) * (rows - (window - 1) / 2.0) * query_heads;
  state.counters["flops"] = benchmark::Counter(2.0 * pairs * shape.key_dim,
                                               benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK_CAPTURE(Score, tiny_gqa_16_heads, kTinyGqa, 16)
    ->Args({3600, 64})
    ->Args({3600, 3600})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Score, tiny_mla_16_heads, kTinyMla, 16)
    ->Args({3600, 64})
    ->Args({3600, 3600})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Score, llama_8b_32_heads, kLlama8B, 32)
    ->Args({32768, 64})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Score, deepseek_r1_16_of_128_heads, kDeepSeekR1, 16)
    ->Args({32768, 64})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace pinboard::kernels
