// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/select/select.h"

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

namespace pinboard::kernels {
namespace {

/// 10 % kept, 30 and 10 % borderline; scores among `distinct` values.
void SelectRows(benchmark::State& state) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  std::mt19937_64 random(1);
  std::vector<std::int64_t> keep(rows);
  std::vector<std::int64_t> band(rows);
  const auto distinct = static_cast<std::uint64_t>(state.range(1));
  for (auto& score : keep) score = static_cast<std::int64_t>(random() % distinct);
  for (auto& score : band) score = static_cast<std::int64_t>(random() % distinct);
  std::vector<std::uint8_t> is_protected(rows, 0);
  std::vector<RowClass> classes(rows);
  for (auto _ : state) {
    const absl::Status status =
        Select({keep, band, is_protected, static_cast<int>(rows / 10),
                static_cast<int>(rows * 3 / 10), static_cast<int>(rows / 10)},
               absl::MakeSpan(classes));
    if (!status.ok()) state.SkipWithError(std::string(status.message()).c_str());
    benchmark::DoNotOptimize(classes.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(rows) * state.iterations());
}
BENCHMARK(SelectRows)
    ->Args({3600, 1LL << 40})
    ->Args({1 << 20, 1LL << 40})
    ->Args({1 << 20, 3})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace pinboard::kernels
