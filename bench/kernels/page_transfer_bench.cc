// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/page_transfer/page_transfer.h"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench/kernels/bench_cache.h"

namespace pinboard::kernels {
namespace {

constexpr int kRows = 32768;

/// Gathers pages of rows 5 apart, over the whole cache in turn. Bytes: of the pages.
void Gather(benchmark::State& state, const KvShape& shape) {
  const BenchCache cache(shape, kRows);
  std::vector<std::byte> page(PageBytes(shape));
  std::vector<std::int32_t> rows(kPageRows);
  int first = 0;
  for (auto _ : state) {
    for (int i = 0; i < kPageRows; ++i) rows[i] = (first + 5 * i) % kRows;
    first = rows.back();
    auto tag = PageGather({cache.view, shape, kBenchBlockSize, cache.block_table}, rows, {},
                          absl::MakeSpan(page));
    if (!tag.ok()) state.SkipWithError(std::string(tag.status().message()).c_str());
    benchmark::DoNotOptimize(tag);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(page.size()) * state.iterations());
}

/// Checks and scatters pages to consecutive rows, over the whole cache in turn.
void Scatter(benchmark::State& state, const KvShape& shape) {
  const BenchCache cache(shape, kRows);
  const std::vector<std::byte> page(PageBytes(shape), std::byte{7});
  const std::uint64_t tag = PageTag(page, {});
  int first = 0;
  for (auto _ : state) {
    const absl::Status status =
        PageScatter({cache.view, shape, kBenchBlockSize, cache.block_table}, first, {}, tag, page);
    if (!status.ok()) state.SkipWithError(std::string(status.message()).c_str());
    first = (first + kPageRows) % kRows;
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(page.size()) * state.iterations());
}

BENCHMARK_CAPTURE(Gather, tiny_gqa, kTinyGqa);
BENCHMARK_CAPTURE(Gather, llama_8b, kLlama8B);
BENCHMARK_CAPTURE(Gather, deepseek_r1, kDeepSeekR1);
BENCHMARK_CAPTURE(Scatter, tiny_gqa, kTinyGqa);
BENCHMARK_CAPTURE(Scatter, llama_8b, kLlama8B);
BENCHMARK_CAPTURE(Scatter, deepseek_r1, kDeepSeekR1);

}  // namespace
}  // namespace pinboard::kernels
