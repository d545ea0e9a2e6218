// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What every implementation of AttentionScore must do. It is any callable with its signature.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/fixed_point.h"
#include "kernels/attention_score/attention_score.h"
#include "tests/kernels/checks/rank_queries.h"
#include "tests/kernels/paged_cache.h"

namespace pinboard::kernels::checks {

/// What a rank holds of the queries of a window.
struct RankTensors {
  std::vector<float> queries;
  std::vector<float> log_sum_exp;
};

/// All heads of a model, from which each rank takes its own.
struct AttentionInput {
  AttentionInput(const CacheCase& c, int rows, SeededRandom& random) : cache(c, rows, random) {}

  int rows() const { return static_cast<int>(row_positions.size()); }

  /// What rank `rank` of `tp` passes: its query heads and the KV heads they read.
  AttentionScoreArgs Rank(int rank, int tp, RankTensors& tensors) const {
    const int local = query_heads / tp;
    const int group = query_heads / cache.shape().kv_heads;
    tensors.queries = RankQueries(queries, query_heads, cache.shape().key_dim, rank, local);
    tensors.log_sum_exp = RankQueries(log_sum_exp, query_heads, 1, rank, local);
    AttentionScoreArgs args{cache.view(),
                            cache.shape(),
                            cache.block_size(),
                            cache.block_table(),
                            row_positions,
                            ring_rows,
                            order,
                            tensors.queries,
                            query_positions,
                            local,
                            query_heads,
                            scale,
                            pool,
                            tensors.log_sum_exp};
    args.cache.key = args.cache.key.FromHead(rank * local / group);
    args.shape.kv_heads = std::max(1, cache.shape().kv_heads / tp);
    return args;
  }

  PagedCache cache;
  /// Rows by position; call after row_positions are set.
  void SortRows() {
    order.resize(row_positions.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
      return row_positions[a] < row_positions[b];
    });
  }

  std::vector<std::int32_t> row_positions;
  int ring_rows = 0;
  std::vector<std::int32_t> order;
  std::vector<float> queries;
  std::vector<std::int32_t> query_positions;
  std::vector<float> log_sum_exp;  // [window, query_heads], or empty
  int query_heads = 0;
  float scale = 1.0F;
  int pool = 1;
};

/// Keys [rows, kv_heads, key_dim] of the input's rows.
inline std::vector<float> KeysOf(const AttentionInput& in) {
  const KvShape& shape = in.cache.shape();
  std::vector<float> keys;
  for (int r = 0; r < in.rows(); ++r) {
    for (int head = 0; head < shape.kv_heads; ++head) {
      for (int d = 0; d < shape.key_dim; ++d) keys.push_back(in.cache.Key(r, head, d));
    }
  }
  return keys;
}

/// What attention over these rows would leave of each query.
inline std::vector<float> LogSumExps(const AttentionInput& in) {
  const int kv_heads = in.cache.shape().kv_heads;
  const int group = in.query_heads / kv_heads;
  const int dim = in.cache.shape().key_dim;
  const std::vector<float> keys = KeysOf(in);
  std::vector<float> sums;
  for (std::size_t w = 0; w < in.query_positions.size(); ++w) {
    for (int head = 0; head < in.query_heads; ++head) {
      const float* q = in.queries.data() + (w * in.query_heads + head) * dim;
      double sum = 0.0;
      for (int r = 0; r < in.rows(); ++r) {
        if (in.row_positions[r] > in.query_positions[w]) continue;
        const float* k = keys.data() + (std::ptrdiff_t{r} * kv_heads + head / group) * dim;
        double product = 0.0;
        for (int d = 0; d < dim; ++d) product += static_cast<double>(q[d]) * k[d];
        sum += std::exp(in.scale * product);
      }
      sums.push_back(static_cast<float>(std::log(sum)));
    }
  }
  return sums;
}

inline AttentionInput RandomAttentionInput(const CacheCase& c, SeededRandom& random) {
  const int rows = random.Int(1, 200);
  AttentionInput in(c, rows, random);
  in.ring_rows = random.Pick<int>({0, 0, std::min(16, rows), rows});
  int position = random.Int(0, 5);
  for (int r = in.ring_rows; r < rows; ++r) {
    in.row_positions.push_back(position);
    position += random.Int(1, 4);
  }
  std::vector<std::int32_t> ring(static_cast<std::size_t>(in.ring_rows));
  for (auto& row_position : ring) row_position = random.Int(0, position);
  in.row_positions.insert(in.row_positions.begin(), ring.begin(), ring.end());
  in.SortRows();
  // A window that ends at the last row, one in the middle of the rows, one longer than they are.
  const int window = random.Pick<int>({1, 7, 64, rows + 9});
  const int last = random.Pick<int>({position, position / 2});
  for (int w = 0; w < window; ++w) {
    in.query_positions.push_back(std::max(0, last - window + 1 + w));
  }
  in.query_heads = 8;
  in.scale = 1.0F / std::sqrt(static_cast<float>(c.shape.key_dim));
  in.pool = random.Pick<int>({1, 5, 9});
  in.queries = random.Normals(static_cast<std::size_t>(window * in.query_heads * c.shape.key_dim),
                              random.Pick<float>({0.3F, 1.0F, 3.0F}));
  return in;
}

struct ExactAttention {
  std::vector<double> share;  // [rows]: A, by position
  /// The most a float logit, or a log-sum-exp that is given as a float, is off by.
  double logit_error = 0.0;
};

/// Method.md section 2, A, in double and in the order of the formula.
inline ExactAttention NaiveAttention(const AttentionInput& in) {
  ExactAttention exact;
  for (const float given : in.log_sum_exp) {
    if (std::isfinite(given)) {
      exact.logit_error = std::max(exact.logit_error, 0x1p-24 * std::abs(double{given}));
    }
  }
  const int dim = in.cache.shape().key_dim;
  const int kv_heads = in.cache.shape().kv_heads;
  const int group = in.query_heads / kv_heads;
  const std::vector<float> keys = KeysOf(in);
  std::vector<double> mean(static_cast<std::size_t>(in.rows()), 0.0);
  for (int head = 0; head < in.query_heads; ++head) {
    for (std::size_t w = 0; w < in.query_positions.size(); ++w) {
      const float* q = in.queries.data() + (w * in.query_heads + head) * dim;
      std::vector<double> weight(mean.size(), 0.0);
      double max = -1e300;
      for (int r = 0; r < in.rows(); ++r) {
        const float* k = keys.data() + (std::ptrdiff_t{r} * kv_heads + head / group) * dim;
        double magnitude = 0;
        for (int d = 0; d < dim; ++d) {
          const double product = static_cast<double>(q[d]) * k[d];
          weight[r] += in.scale * product;
          magnitude += std::abs(in.scale * product);
        }
        exact.logit_error = std::max(exact.logit_error, (dim + 1) * 0x1p-24 * magnitude);
        if (in.row_positions[r] <= in.query_positions[w]) max = std::max(max, weight[r]);
      }
      double denominator = 0;
      for (int r = 0; r < in.rows(); ++r) {
        const bool seen = in.row_positions[r] <= in.query_positions[w];
        denominator += weight[r] = seen ? std::exp(weight[r] - max) : 0.0;
      }
      if (denominator == 0) continue;
      for (int r = 0; r < in.rows(); ++r) mean[r] += weight[r] / denominator;
    }
  }
  for (int i = 0; i < in.rows(); ++i) {
    double sum = 0;
    for (int near = i - in.pool / 2; near <= i + in.pool / 2; ++near) {
      if (near >= 0 && near < in.rows()) sum += mean[in.order[near]];
    }
    exact.share.push_back(sum / in.pool / static_cast<double>(in.query_positions.size()) /
                          in.query_heads);
  }
  return exact;
}

template <typename ScoreFn>
std::vector<std::int32_t> MergedAttention(ScoreFn score, const AttentionInput& in, int tp) {
  std::vector<std::int32_t> merged(static_cast<std::size_t>(in.rows()), 0);
  RankTensors tensors;
  for (int rank = 0; rank < tp; ++rank) {
    std::vector<std::int32_t> share(merged.size());
    const absl::Status status = score(in.Rank(rank, tp, tensors), absl::MakeSpan(share));
    EXPECT_TRUE(status.ok()) << status;
    for (std::size_t r = 0; r < merged.size(); ++r) merged[r] += share[r];
  }
  return merged;
}

/// The merge's bound: each rank rounds once, so the sum over tp ranks is off by at most tp / 2
/// steps of 2^-30, beside the float error that the operation states. And against one rank with all
/// heads, where the float errors are the same, the sums differ by rounding alone.
template <typename ScoreFn>
void ExpectMergeWithinItsBound(ScoreFn score, const AttentionInput& in) {
  const ExactAttention exact = NaiveAttention(in);
  const double relative = std::expm1(2 * exact.logit_error) + 0x1p-20;
  const std::vector<std::int32_t> whole = MergedAttention(score, in, 1);
  for (const int tp : {1, 2, 4, 8}) {
    const std::vector<std::int32_t> merged = MergedAttention(score, in, tp);
    for (std::size_t r = 0; r < merged.size(); ++r) {
      const double steps = std::ldexp(exact.share[r], kAttentionFractionBits);
      ASSERT_LE(std::abs(merged[r] - steps), tp * 0.5 + steps * relative)
          << tp << " ranks, row " << r;
      ASSERT_LE(std::abs(merged[r] - whole[r]), (tp + 1) / 2) << tp << " ranks, row " << r;
    }
  }
}

/// Rows that a query attended to and that are gone take their part of its weight with them.
template <typename ScoreFn>
void ExpectGivenSumsToCountRowsThatAreGone(ScoreFn score, AttentionInput in) {
  in.log_sum_exp = LogSumExps(in);
  const std::vector<std::int32_t> whole = MergedAttention(score, in, 1);
  for (float& sum : in.log_sum_exp) sum += std::log(2.0F);
  const std::vector<std::int32_t> half = MergedAttention(score, in, 1);
  for (std::size_t r = 0; r < whole.size(); ++r) {
    ASSERT_NEAR(half[r], whole[r] / 2.0, 1.0 + whole[r] * 0x1p-18) << "row " << r;
  }
}

/// `status_of(in)`: of the operation on the input.
template <typename StatusFn>
void ExpectRefusedLogSumExps(StatusFn status_of, AttentionInput in) {
  in.query_positions.back() = *std::max_element(in.row_positions.begin(), in.row_positions.end());
  const std::vector<float> sums = LogSumExps(in);
  for (const float wrong : {std::nanf(""), sums.back() - 60.0F, -1e30F}) {
    in.log_sum_exp = sums;
    in.log_sum_exp.back() = wrong;
    EXPECT_EQ(status_of(in).code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
}

}  // namespace pinboard::kernels::checks
