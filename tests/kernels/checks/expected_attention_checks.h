// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of ExpectedAttention must do. It is any callable with its signature.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/fixed_point.h"
#include "kernels/expected_attention/expected_attention.h"
#include "tests/kernels/checks/rank_queries.h"
#include "tests/kernels/paged_cache.h"

namespace pinboard::kernels::checks {

/// All heads of a model, from which each rank takes its own.
struct ExpectedInput {
  ExpectedInput(const CacheCase& c, int rows, SeededRandom& random) : cache(c, rows, random) {
    order.resize(static_cast<std::size_t>(rows));
    std::iota(order.begin(), order.end(), 0);
  }

  ExpectedAttentionArgs Rank(int rank, int tp, std::vector<float>& rank_queries) const {
    const int local = query_heads / tp;
    const int group = query_heads / cache.shape().kv_heads;
    rank_queries = RankQueries(queries, query_heads, cache.shape().key_dim, rank, local);
    ExpectedAttentionArgs args{cache.view(),
                               cache.shape(),
                               cache.block_size(),
                               cache.block_table(),
                               order,
                               rank_queries,
                               query_positions,
                               local,
                               query_heads,
                               scale,
                               rotary,
                               next_position};
    const int first_kv_head = rank * local / group;
    args.cache = {args.cache.key.FromHead(first_kv_head), args.cache.value.FromHead(first_kv_head)};
    args.shape.kv_heads = std::max(1, cache.shape().kv_heads / tp);
    return args;
  }

  PagedCache cache;
  std::vector<std::int32_t> order;
  std::vector<float> queries;
  std::vector<std::int32_t> query_positions;
  int query_heads = 0;
  float scale = 1.0F;
  RotaryShape rotary;
  int next_position = 0;
};

inline ExpectedInput RandomExpectedInput(const CacheCase& c, SeededRandom& random) {
  ExpectedInput in(c, random.Int(1, 100), random);
  std::shuffle(in.order.begin(), in.order.end(), random.engine());
  const int window = random.Pick<int>({1, 7, 24});
  in.next_position = random.Int(window, 5000);
  for (int w = 0; w < window; ++w) in.query_positions.push_back(in.next_position - window + w);
  in.query_heads = 8;
  in.scale = 1.0F / std::sqrt(static_cast<float>(c.shape.key_dim));
  in.rotary.first_dim = random.Pick<int>({0, 2, c.shape.key_dim / 2});
  in.rotary.interleaved = random.Int(0, 1) == 1;
  const int pairs = random.Int(0, (c.shape.key_dim - in.rotary.first_dim) / 2);
  for (int i = 0; i < pairs; ++i) in.rotary.frequencies.push_back(std::pow(10.0, -i * 0.5));
  in.queries = random.Normals(static_cast<std::size_t>(window * in.query_heads * c.shape.key_dim),
                              random.Pick<float>({0.3F, 1.0F, 2.0F}));
  return in;
}

/// A query before it was rotated, and one rotated to the mean of the positions to come.
class PlainRotary {
 public:
  explicit PlainRotary(const RotaryShape& shape) : shape_(shape) {}

  std::vector<double> Back(std::vector<double> query, int position) const {
    return Turn(query, [&](double f) {
      return std::pair(std::cos(f * position), -std::sin(f * position));
    });
  }
  std::vector<double> Ahead(std::vector<double> query, int first) const {
    return Turn(query, [&](double f) {
      std::pair<double, double> mean(0.0, 0.0);
      for (int p = first; p < first + kExpectedPositions; ++p) {
        mean.first += std::cos(f * p) / kExpectedPositions;
        mean.second += std::sin(f * p) / kExpectedPositions;
      }
      return mean;
    });
  }

 private:
  template <typename RotationOf>
  std::vector<double> Turn(std::vector<double> query, RotationOf rotation_of) const {
    const std::size_t pairs = shape_.frequencies.size();
    for (std::size_t i = 0; i < pairs; ++i) {
      const auto [cosine, sine] = rotation_of(shape_.frequencies[i]);
      double& x = query[shape_.first_dim + (shape_.interleaved ? 2 * i : i)];
      double& y = query[shape_.first_dim + (shape_.interleaved ? 2 * i + 1 : i + pairs)];
      const double turned = cosine * x - sine * y;
      y = sine * x + cosine * y;
      x = turned;
    }
    return query;
  }

  const RotaryShape& shape_;
};

/// expected_attention.h's first formula: mean and covariance of the plain queries, turned ahead.
inline std::vector<double> NaiveExpectedAttention(const ExpectedInput& in) {
  const KvShape& shape = in.cache.shape();
  const int dim = shape.key_dim;
  const int group = in.query_heads / shape.kv_heads;
  const auto window = static_cast<double>(in.query_positions.size());
  const PlainRotary rotary(in.rotary);
  std::vector<double> share(in.order.size(), 0.0);
  for (int head = 0; head < in.query_heads; ++head) {
    std::vector<std::vector<double>> plain;
    std::vector<double> mu(static_cast<std::size_t>(dim), 0.0);
    for (std::size_t w = 0; w < in.query_positions.size(); ++w) {
      const auto from =
          in.queries.begin() + (static_cast<std::ptrdiff_t>(w) * in.query_heads + head) * dim;
      plain.push_back(rotary.Back({from, from + dim}, in.query_positions[w]));
      for (int d = 0; d < dim; ++d) mu[d] += plain.back()[d] / window;
    }
    const std::vector<double> mean = rotary.Ahead(mu, in.next_position);
    for (auto& query : plain) {
      for (int d = 0; d < dim; ++d) query[d] -= mu[d];
      query = rotary.Ahead(query, in.next_position);
    }
    const auto dot = [&](int row, const std::vector<double>& query) {
      double sum = 0;
      for (int d = 0; d < dim; ++d) sum += query[d] * in.cache.Key(row, head / group, d);
      return in.scale * sum;
    };
    std::vector<double> z, norm;
    for (const std::int32_t row : in.order) {
      double variance = 0;
      for (const auto& query : plain) variance += dot(row, query) * dot(row, query) / window;
      z.push_back(dot(row, mean) + variance / 2);
      double squared = 0;
      for (int d = 0; d < shape.value_dim; ++d) {
        squared += std::pow(in.cache.Value(row, head / group, d), 2);
      }
      norm.push_back(std::sqrt(squared));
    }
    const double top = *std::max_element(z.begin(), z.end());
    double total = 0;
    for (const double one : z) total += std::exp(one - top);
    const double largest = *std::max_element(norm.begin(), norm.end());
    for (std::size_t i = 0; i < z.size(); ++i) {
      share[i] += std::exp(z[i] - top) / total * norm[i] / largest / in.query_heads;
    }
  }
  return share;
}

template <typename ExpectedFn>
void ExpectExpectedAttentionMerges(ExpectedFn expected, const ExpectedInput& in) {
  const std::vector<double> exact = NaiveExpectedAttention(in);
  for (const int tp : {1, 2, 4, 8}) {
    std::vector<std::int32_t> merged(exact.size(), 0);
    for (int rank = 0; rank < tp; ++rank) {
      std::vector<float> queries;
      std::vector<std::int32_t> share(merged.size());
      const absl::Status status = expected(in.Rank(rank, tp, queries), absl::MakeSpan(share));
      ASSERT_TRUE(status.ok()) << status;
      for (std::size_t i = 0; i < merged.size(); ++i) merged[i] += share[i];
    }
    for (std::size_t i = 0; i < merged.size(); ++i) {
      const double steps = std::ldexp(exact[i], kAttentionFractionBits);
      ASSERT_LE(std::abs(merged[i] - steps), tp * 0.5 + steps * 1e-4) << tp << " ranks, row " << i;
    }
  }
}

}  // namespace pinboard::kernels::checks
