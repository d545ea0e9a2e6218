// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a fault point costs that is not armed, and the time by which deadlines are kept.
#include <benchmark/benchmark.h>

#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/fault_point.h"

namespace pinboard {
namespace {

/// What the points are measured against: a loop that does nothing else.
void BM_EmptyLoop(benchmark::State& state) {
  int i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(++i);
}
BENCHMARK(BM_EmptyLoop);

void BM_FaultPoint(benchmark::State& state) {
  int i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(++i);
    FaultPoint("not.armed");
  }
}
BENCHMARK(BM_FaultPoint);

void BM_SteadyNow(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(SteadyNow());
}
BENCHMARK(BM_SteadyNow);

void BM_AbslNow(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(absl::Now());
}
BENCHMARK(BM_AbslNow);

}  // namespace
}  // namespace pinboard

BENCHMARK_MAIN();
