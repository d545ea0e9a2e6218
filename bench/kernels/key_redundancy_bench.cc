// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/key_redundancy/key_redundancy.h"

#include <benchmark/benchmark.h>

#include <numeric>
#include <string>
#include <vector>

#include "bench/kernels/bench_cache.h"

namespace pinboard::kernels {
namespace {

/// One layer of `rows` rows. Each repeats the key of the row `period` before it, so that the search
/// for its last similar row ends within `period` rows of the end; 0: random keys, none of which
/// resembles another, so that every pair is looked at.
void Redundancy(benchmark::State& state, const KvShape& shape) {
  const int rows = static_cast<int>(state.range(0));
  const int period = static_cast<int>(state.range(1));
  BenchCache cache(shape, rows);
  const std::size_t values_per_row = shape.KeyBytes() / sizeof(cache.keys[0]);
  for (std::size_t i = period * values_per_row; period > 0 && i < cache.keys.size(); ++i) {
    cache.keys[i] = cache.keys[i - period * values_per_row];
  }
  std::vector<std::int32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  std::vector<std::int32_t> out(rows);
  for (auto _ : state) {
    const absl::Status status = KeyRedundancy(
        {cache.view, shape, kBenchBlockSize, cache.block_table, order, shape.kv_heads},
        absl::MakeSpan(out));
    if (!status.ok()) state.SkipWithError(std::string(status.message()).c_str());
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["rows"] = benchmark::Counter(rows, benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK_CAPTURE(Redundancy, tiny_gqa, kTinyGqa)
    ->Args({3600, 16})
    ->Args({3600, 0})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Redundancy, tiny_mla, kTinyMla)
    ->Args({3600, 16})
    ->Args({3600, 0})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Redundancy, llama_8b, kLlama8B)->Args({32768, 16})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace pinboard::kernels
