// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "kernels/entropy/entropy.h"

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

namespace pinboard::kernels {
namespace {

/// H of `tokens` tokens on one rank: the 256 largest of `vocab` logits, then the entropy.
void TopKEntropy(benchmark::State& state) {
  const int tokens = static_cast<int>(state.range(0));
  const int vocab = static_cast<int>(state.range(1));
  constexpr int kTopK = 256;
  std::vector<float> logits(static_cast<std::size_t>(tokens) * vocab);
  std::mt19937 random(1);
  for (float& logit : logits) logit = std::normal_distribution<float>(0.0F, 3.0F)(random);
  std::vector<float> values(static_cast<std::size_t>(tokens) * kTopK);
  std::vector<std::int32_t> ids(values.size());
  std::vector<float> entropy(tokens);
  for (auto _ : state) {
    absl::Status status =
        TopKLogits(logits, tokens, vocab, 0, kTopK, absl::MakeSpan(values), absl::MakeSpan(ids));
    status.Update(
        MergedEntropy(values, 1, tokens, kTopK, EntropyUnit::kNats, absl::MakeSpan(entropy)));
    if (!status.ok()) state.SkipWithError(std::string(status.message()).c_str());
    benchmark::DoNotOptimize(entropy.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(logits.size() * sizeof(float)) *
                          state.iterations());
}
BENCHMARK(TopKEntropy)->Args({3600, 4096})->Args({64, 32064})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace pinboard::kernels
