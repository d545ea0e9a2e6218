// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of KeyRedundancy must do. It is any callable with its signature.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/fixed_point.h"
#include "kernels/key_redundancy/key_redundancy.h"
#include "tests/kernels/paged_cache.h"

namespace pinboard::kernels::checks {

/// Keys of all heads of a model; rows in an order of positions that is not their physical one.
struct RedundancyInput {
  RedundancyInput(const CacheCase& c, int rows, SeededRandom& random) : cache(c, rows, random) {
    order.resize(static_cast<std::size_t>(rows));
    std::iota(order.begin(), order.end(), 0);
  }

  int rows() const { return static_cast<int>(order.size()); }

  /// What rank `rank` of `tp` passes: its KV heads.
  KeyRedundancyArgs Rank(int rank, int tp) const {
    KeyRedundancyArgs args{cache.view(),        cache.shape(), cache.block_size(),
                           cache.block_table(), order,         cache.shape().kv_heads};
    args.shape.kv_heads /= tp;
    args.cache.key = args.cache.key.FromHead(rank * args.shape.kv_heads);
    return args;
  }

  PagedCache cache;
  std::vector<std::int32_t> order;
};

struct ExactRedundancy {
  std::vector<double> share;  // [rows]: R, by position
  double nearest = 1.0;       // how far the nearest cosine is from 1/2
};

/// key_redundancy.h's formula in double, over all pairs of rows.
inline ExactRedundancy NaiveRedundancy(const RedundancyInput& in) {
  const int rows = in.rows();
  ExactRedundancy exact;
  exact.share.assign(static_cast<std::size_t>(rows), 0.0);
  const auto product = [&](int head, int i, int j) {
    double sum = 0;
    for (int d = 0; d < in.cache.shape().key_dim; ++d) {
      sum += static_cast<double>(in.cache.Key(in.order[i], head, d)) *
             in.cache.Key(in.order[j], head, d);
    }
    return sum;
  };
  for (int head = 0; head < in.cache.shape().kv_heads; ++head) {
    std::vector<double> mean(static_cast<std::size_t>(rows), 0.0);
    for (int j = 0; j < rows; ++j) {
      int last_similar = -1;
      std::vector<double> cosine(static_cast<std::size_t>(rows), 0.0);
      for (int i = 0; i < rows; ++i) {
        if (i == j) continue;
        const double lengths = std::sqrt(product(head, i, i) * product(head, j, j));
        cosine[i] = lengths > 0 ? product(head, i, j) / lengths : 0.0;
        exact.nearest = std::min(exact.nearest, std::abs(cosine[i] - 0.5));
        if (cosine[i] > 0.5) last_similar = i;
      }
      if (last_similar >= 0) cosine[last_similar] = 0;
      for (int i = 0; i < rows; ++i) mean[i] += cosine[i] / rows;
    }
    double total = 0;
    for (const double m : mean) total += std::exp(m);
    for (int i = 0; i < rows; ++i) {
      exact.share[i] += std::exp(mean[i]) / total / in.cache.shape().kv_heads;
    }
  }
  return exact;
}

/// Keys that crowd around a few directions, so that rows are similar in groups.
inline RedundancyInput RandomRedundancyInput(const CacheCase& c, SeededRandom& random) {
  RedundancyInput in(c, random.Int(1, 150), random);
  const int dim = c.shape.key_dim;
  const auto directions = random.Normals(std::size_t{3} * dim);
  const float noise = random.Pick<float>({0.2F, 1.0F, 3.0F});
  for (int row = 0; row < in.rows(); ++row) {
    for (int head = 0; head < c.shape.kv_heads; ++head) {
      const int direction = random.Int(0, 2);
      for (int d = 0; d < dim; ++d) {
        in.cache.SetKey(row, head, d, directions[direction * dim + d] + random.Normal(noise));
      }
    }
  }
  std::shuffle(in.order.begin(), in.order.end(), random.engine());
  return in;
}

/// False where a cosine is too near to 1/2 for float: nothing was checked.
template <typename RedundancyFn>
bool ExpectRedundancyMergesWithinItsBound(RedundancyFn redundancy, const RedundancyInput& in) {
  const ExactRedundancy exact = NaiveRedundancy(in);
  const double cosine_error = (in.cache.shape().key_dim + 3) * 0x1p-24;
  if (exact.nearest < cosine_error) return false;
  for (int tp = 1; in.cache.shape().kv_heads % tp == 0; tp *= 2) {
    std::vector<std::int32_t> merged(in.order.size(), 0);
    for (int rank = 0; rank < tp; ++rank) {
      std::vector<std::int32_t> share(merged.size());
      const absl::Status status = redundancy(in.Rank(rank, tp), absl::MakeSpan(share));
      EXPECT_TRUE(status.ok()) << status;
      for (std::size_t i = 0; i < merged.size(); ++i) merged[i] += share[i];
    }
    for (std::size_t i = 0; i < merged.size(); ++i) {
      const double steps = std::ldexp(exact.share[i], kAttentionFractionBits);
      EXPECT_LE(std::abs(merged[i] - steps), tp * 0.5 + steps * 2 * cosine_error)
          << tp << " ranks, row " << i;
    }
  }
  return true;
}

}  // namespace pinboard::kernels::checks
