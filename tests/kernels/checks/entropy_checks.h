// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of TopKLogits and MergedEntropy must do.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/entropy/entropy.h"
#include "tests/support/seeded_random.h"

namespace pinboard::kernels::checks {

/// logits [tokens, vocab]: the k first of a stable sort of each row.
template <typename TopKFn>
void ExpectTopKOf(TopKFn top_k, const std::vector<float>& logits, int tokens, int k, int begin) {
  const int vocab = static_cast<int>(logits.size()) / tokens;
  std::vector<float> values(static_cast<std::size_t>(tokens * k));
  std::vector<std::int32_t> ids(values.size());
  const absl::Status status =
      top_k(logits, tokens, vocab, begin, k, absl::MakeSpan(values), absl::MakeSpan(ids));
  ASSERT_TRUE(status.ok()) << status;
  for (int t = 0; t < tokens; ++t) {
    const float* row = logits.data() + std::ptrdiff_t{t} * vocab;
    std::vector<int> order(static_cast<std::size_t>(vocab));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return row[a] > row[b]; });
    for (int i = 0; i < k; ++i) {
      const bool present = i < vocab;
      ASSERT_EQ(ids[t * k + i], present ? begin + order[i] : -1);
      ASSERT_EQ(values[t * k + i],
                present ? row[order[i]] : -std::numeric_limits<float>::infinity());
    }
  }
}

template <typename TopKFn>
void ExpectTopKEqualsSort(TopKFn top_k, SeededRandom& random) {
  const int tokens = random.Int(1, 4);
  const int vocab = random.Int(1, 700);
  const int distinct = random.Pick<int>({1, 10, 100000});
  std::vector<float> logits(static_cast<std::size_t>(tokens * vocab));
  for (float& logit : logits) logit = static_cast<float>(random.Int(-distinct, distinct)) / 8;
  ExpectTopKOf(top_k, logits, tokens, random.Int(1, 300), random.Int(0, 5000));
}

/// Restricted entropy in long double from the whole vocabulary: docs/method.md section 2, H.
inline double NaiveEntropy(std::vector<float> logits, int k) {
  std::sort(logits.begin(), logits.end(), std::greater<>());
  logits.resize(std::min<std::size_t>(logits.size(), k));
  long double z = 0;
  for (const float x : logits) z += std::exp(static_cast<long double>(x) - logits[0]);
  long double entropy = 0;
  for (const float x : logits) {
    const long double p = std::exp(static_cast<long double>(x) - logits[0]) / z;
    if (p > 0) entropy -= p * std::log(p);
  }
  return static_cast<double>(entropy);
}

/// 1, 2, 4 and 8 ranks give the same bits, which are the entropy of the unsharded logits.
template <typename TopKFn, typename MergeFn>
void ExpectShardingChangesNothing(TopKFn top_k, MergeFn merge, SeededRandom& random) {
  const int tokens = random.Int(1, 3);
  const int vocab = 8 * random.Int(1, 120);
  const int k = random.Int(2, 300);
  const auto logits = random.Normals(static_cast<std::size_t>(tokens * vocab),
                                     random.Pick<float>({0.1F, 3.0F, 30.0F}));
  std::vector<float> first;
  for (const int ranks : {1, 2, 4, 8}) {
    const int local = vocab / ranks;
    std::vector<float> values(static_cast<std::size_t>(ranks * tokens * k));
    std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens * k));
    for (int rank = 0; rank < ranks; ++rank) {
      std::vector<float> shard;
      for (int t = 0; t < tokens; ++t) {
        const auto from = logits.begin() + std::ptrdiff_t{t} * vocab + std::ptrdiff_t{rank} * local;
        shard.insert(shard.end(), from, from + local);
      }
      const auto part = absl::MakeSpan(values).subspan(rank * ids.size(), ids.size());
      ASSERT_TRUE(top_k(shard, tokens, local, rank * local, k, part, absl::MakeSpan(ids)).ok());
    }
    std::vector<float> entropy(static_cast<std::size_t>(tokens));
    ASSERT_TRUE(merge(values, ranks, tokens, k, EntropyUnit::kNats, absl::MakeSpan(entropy)).ok());
    if (first.empty()) first = entropy;
    ASSERT_EQ(entropy, first) << ranks << " ranks";
  }
  for (int t = 0; t < tokens; ++t) {
    const auto from = logits.begin() + std::ptrdiff_t{t} * vocab;
    ASSERT_NEAR(first[t], NaiveEntropy({from, from + vocab}, k), 1e-6);
  }
}

}  // namespace pinboard::kernels::checks
