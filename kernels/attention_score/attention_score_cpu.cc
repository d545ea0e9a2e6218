// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/attention_score/attention_score.h"
#include "kernels/attention_score/attention_score_core.h"
#include "kernels/key_tile.h"
#include "kernels/paged_rows.h"
#include "kernels/portable_math.h"
#include "kernels/row_scores.h"

namespace pinboard::kernels {
namespace {

constexpr int kQueryBlock = 32;  // queries (of any head of a group) that share a pass over the keys
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

absl::Status CheckQueries(const AttentionScoreArgs& args) {
  const std::size_t window = args.query_positions.size();
  if (args.query_heads <= 0 || args.query_heads % args.shape.kv_heads != 0 ||
      args.total_query_heads < args.query_heads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "AttentionScore: ", args.query_heads, " of ", args.total_query_heads, " query heads over ",
        args.shape.kv_heads, " KV heads: the latter must divide the first"));
  }
  if (window == 0 || args.queries.size() != window * args.query_heads * args.shape.key_dim) {
    return absl::InvalidArgumentError(
        absl::StrCat("AttentionScore: ", args.queries.size(), " query values for ", window,
                     " positions of ", args.query_heads, " heads of ", args.shape.key_dim));
  }
  if (!args.log_sum_exp.empty() && args.log_sum_exp.size() != window * args.query_heads) {
    return absl::InvalidArgumentError(absl::StrCat("AttentionScore: ", args.log_sum_exp.size(),
                                                   " log-sum-exps for ", window, " positions of ",
                                                   args.query_heads, " heads"));
  }
  if (args.pool <= 0 || args.pool % 2 == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("AttentionScore: pool is ", args.pool, ": it must be odd"));
  }
  return absl::OkStatus();
}

absl::Status CheckOrder(const AttentionScoreArgs& args) {
  PB_RETURN_IF_ERROR(CheckPermutation("AttentionScore", args.order));
  const auto earlier = [&](std::int32_t a, std::int32_t b) {
    return args.row_positions[a] < args.row_positions[b];
  };
  if (std::is_sorted(args.order.begin(), args.order.end(), earlier)) return absl::OkStatus();
  return absl::InvalidArgumentError("AttentionScore: positions must ascend in `order`");
}

absl::Status CheckArgs(const AttentionScoreArgs& args, std::size_t out) {
  const std::size_t rows = args.row_positions.size();
  PB_RETURN_IF_ERROR(CheckKeys("AttentionScore",
                               {args.cache, args.shape, args.block_size, args.block_table},
                               static_cast<std::int64_t>(rows)));
  if (args.ring_rows < 0 || static_cast<std::size_t>(args.ring_rows) > rows ||
      args.order.size() != rows || out != rows) {
    return absl::InvalidArgumentError(absl::StrCat(
        "AttentionScore: ", rows, " rows, ", args.ring_rows, " of them the ring's, in an order of ",
        args.order.size(), " do not give ", out, " results"));
  }
  if (!std::is_sorted(args.row_positions.begin() + args.ring_rows, args.row_positions.end())) {
    return absl::InvalidArgumentError("AttentionScore: positions must ascend behind the ring");
  }
  PB_RETURN_IF_ERROR(CheckOrder(args));
  return CheckQueries(args);
}

/// Sums softmax weights over queries and heads, one KV head at a time.
class Scorer {
 public:
  explicit Scorer(const AttentionScoreArgs& args)
      : args_(args),
        rows_(static_cast<std::int64_t>(args.row_positions.size())),
        padded_rows_(PaddedRows(rows_)),
        dim_(args.shape.key_dim),
        tile_(static_cast<std::size_t>(dim_) * kTileRows),
        queries_(static_cast<std::size_t>(dim_) * kQueryBlock),
        scores_(static_cast<std::size_t>(padded_rows_) * kQueryBlock),
        shares_(static_cast<std::size_t>(padded_rows_)) {}

  /// False where a query or a key is not finite.
  bool AddKvHead(int kv_head) {
    const int group = args_.query_heads / args_.shape.kv_heads;
    const int first_head = FirstQueryHead(kv_head, args_.query_heads, args_.shape.kv_heads);
    const std::int64_t items = static_cast<std::int64_t>(args_.query_positions.size()) * group;
    for (std::int64_t first = 0; first < items; first += kQueryBlock) {
      const int count = static_cast<int>(std::min<std::int64_t>(kQueryBlock, items - first));
      for (int i = 0; i < count; ++i) {
        const std::int64_t window = (first + i) / group;
        const std::int64_t head = first_head + (first + i) % group;
        const std::int64_t index = window * args_.query_heads + head;
        const float* query = args_.queries.data() + index * dim_;
        std::copy(query, query + dim_, queries_.begin() + std::ptrdiff_t{i} * dim_);
        positions_[i] = args_.query_positions[window];
        if (!args_.log_sum_exp.empty()) log_sums_[i] = args_.log_sum_exp[index];
      }
      if (!AddBlock(kv_head, count)) return false;
    }
    return true;
  }

  /// [rows], in the order of positions.
  std::vector<double> Shares() const {
    std::vector<double> shares;
    shares.reserve(args_.order.size());
    for (const std::int32_t row : args_.order) shares.push_back(shares_[row]);
    return shares;
  }

 private:
  /// Rows before it may be seen from `position`; all later ones may not.
  std::int64_t End(std::int32_t position) const {
    const auto begin = args_.row_positions.begin() + args_.ring_rows;
    return std::upper_bound(begin, args_.row_positions.end(), position) -
           args_.row_positions.begin();
  }

  bool AddBlock(int kv_head, int count) {
    const std::int64_t end = End(*std::max_element(positions_, positions_ + count));
    const PagedLayer layer{args_.cache, args_.shape, args_.block_size, args_.block_table};
    for (std::int64_t row = 0; row < end; row += kTileRows) {
      LoadKeyTile(layer, kv_head, row, std::min<std::int64_t>(kTileRows, end - row), tile_.data());
      TileScores(queries_.data(), count, dim_, tile_.data(), args_.scale, scores_.data() + row,
                 padded_rows_);
    }
    for (int i = 0; i < count; ++i) {
      if (!AddQuery(i, scores_.data() + i * padded_rows_)) return false;
    }
    return true;
  }

  bool AddQuery(int query, float* scores) {
    const std::int32_t position = positions_[query];
    const std::int64_t end = End(position);
    const auto ring = args_.row_positions.first(args_.ring_rows);
    const auto seen = [&](std::int32_t row_position) { return row_position <= position; };
    if (end == args_.ring_rows && std::none_of(ring.begin(), ring.end(), seen)) return true;
    const std::int64_t padded = PaddedRows(end);
    for (int row = 0; row < args_.ring_rows; ++row) {
      if (!seen(ring[row])) scores[row] = kMinusInfinity;
    }
    std::fill(scores + end, scores + padded, kMinusInfinity);
    const float max = MaxScore(scores, padded);
    const double sum = ExpAndSum(scores, padded, max);
    if (!std::isfinite(sum)) return false;
    const double weight =
        args_.log_sum_exp.empty() ? 1.0 / sum : Exp(double{max} - log_sums_[query]);
    AddWeighted(scores, padded, weight, shares_.data());
    return true;
  }

  const AttentionScoreArgs& args_;
  const std::int64_t rows_;
  const std::int64_t padded_rows_;
  const int dim_;
  std::vector<float> tile_;     // [key_dim, kTileRows]
  std::vector<float> queries_;  // [kQueryBlock, key_dim]
  std::int32_t positions_[kQueryBlock] = {};
  float log_sums_[kQueryBlock] = {};
  std::vector<float> scores_;   // [kQueryBlock, padded_rows]
  std::vector<double> shares_;  // [padded_rows]
};

}  // namespace

absl::Status AttentionScore(const AttentionScoreArgs& args, absl::Span<std::int32_t> out) {
  PB_RETURN_IF_ERROR(CheckArgs(args, out.size()));
  Scorer scorer(args);
  for (int head = 0; head < args.shape.kv_heads; ++head) {
    if (!scorer.AddKvHead(head)) {
      return absl::InvalidArgumentError("AttentionScore: a query or a key is not finite");
    }
  }
  const std::vector<double> shares = scorer.Shares();
  const auto rows = static_cast<std::int64_t>(out.size());
  const int window = static_cast<int>(args.query_positions.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    const double pooled = Pooled(shares.data(), rows, r, args.pool);
    if (!IsShare(pooled, window, args.query_heads)) {
      return absl::InvalidArgumentError(
          absl::StrCat("AttentionScore: row ", args.order[r],
                       " has more than a whole share: a log-sum-exp is too low"));
    }
    out[r] = AttentionShare(pooled, window, args.total_query_heads);
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
