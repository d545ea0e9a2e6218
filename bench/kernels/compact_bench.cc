// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/compact/compact.h"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/kernels/bench_cache.h"

namespace pinboard::kernels {
namespace {

/// Every fifth of `rows` rows moves to the front, behind a ring of 256. Bytes: read and written.
void CompactRows(benchmark::State& state, const KvShape& shape) {
  const int rows = static_cast<int>(state.range(0));
  const BenchCache cache(shape, rows);
  std::vector<std::int32_t> sources;
  for (int row = 0; row < rows; row += 5) sources.push_back(row);
  for (auto _ : state) {
    const absl::Status status =
        Compact({cache.view, shape, kBenchBlockSize, cache.block_table, sources, 256});
    if (!status.ok()) state.SkipWithError(std::string(status.message()).c_str());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(2 * sources.size() * shape.RowBytes()) *
                          state.iterations());
}
BENCHMARK_CAPTURE(CompactRows, tiny_gqa, kTinyGqa)->Arg(3600)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(CompactRows, llama_8b, kLlama8B)->Arg(32768)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(CompactRows, deepseek_r1, kDeepSeekR1)->Arg(32768)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace pinboard::kernels
