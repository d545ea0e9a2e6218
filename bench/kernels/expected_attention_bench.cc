// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/expected_attention/expected_attention.h"

#include <benchmark/benchmark.h>

#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "bench/kernels/bench_cache.h"

namespace pinboard::kernels {
namespace {

/// Pairs of `dims` values that begin at `first_dim` of a key.
RotaryShape Rotary(int first_dim, int dims) {
  RotaryShape rotary{.first_dim = first_dim};
  for (int i = 0; i < dims / 2; ++i) {
    rotary.frequencies.push_back(std::pow(10'000.0, -2.0 * i / dims));
  }
  return rotary;
}

/// One layer: the last `window` queries of `query_heads` heads, turned ahead, over `rows` rows.
void Expect(benchmark::State& state, const KvShape& shape, int query_heads,
            const RotaryShape& rotary) {
  const int rows = static_cast<int>(state.range(0));
  const int window = static_cast<int>(state.range(1));
  const BenchCache cache(shape, rows);
  std::vector<std::int32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  std::vector<float> queries(static_cast<std::size_t>(window) * query_heads * shape.key_dim);
  std::mt19937 random(2);
  for (float& value : queries) value = std::normal_distribution<float>()(random);
  std::vector<std::int32_t> out(rows);
  for (auto _ : state) {
    const absl::Status status = ExpectedAttention(
        {cache.view, shape, kBenchBlockSize, cache.block_table, order, queries,
         absl::MakeConstSpan(order).last(window), query_heads, query_heads, 0.1F, rotary, rows},
        absl::MakeSpan(out));
    if (!status.ok()) state.SkipWithError(std::string(status.message()).c_str());
    benchmark::DoNotOptimize(out.data());
  }
  // Products of queries and keys; softmax and the values' norms are not counted.
  state.counters["flops"] = benchmark::Counter(2.0 * window * query_heads * rows * shape.key_dim,
                                               benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK_CAPTURE(Expect, tiny_gqa_16_heads, kTinyGqa, 16, Rotary(0, 32))
    ->Args({3600, 64})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Expect, tiny_mla_16_heads, kTinyMla, 16, Rotary(128, 32))
    ->Args({3600, 64})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Expect, llama_8b_32_heads, kLlama8B, 32, Rotary(0, 128))
    ->Args({32768, 64})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace pinboard::kernels
