// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/expected_attention/expected_attention.h"
#include "kernels/expected_attention/expected_attention_core.h"
#include "kernels/key_tile.h"
#include "kernels/key_values.h"
#include "kernels/paged_rows.h"
#include "kernels/portable_math.h"
#include "kernels/row_scores.h"

namespace pinboard::kernels {
namespace {

absl::Status CheckArgs(const ExpectedAttentionArgs& args, std::size_t out) {
  const auto rows = static_cast<std::int64_t>(args.order.size());
  PB_RETURN_IF_ERROR(CheckRows("ExpectedAttention",
                               {args.cache, args.shape, args.block_size, args.block_table}, rows));
  PB_RETURN_IF_ERROR(CheckPermutation("ExpectedAttention", args.order));
  if (args.query_heads <= 0 || args.query_heads % args.shape.kv_heads != 0 ||
      args.total_query_heads < args.query_heads || out != args.order.size()) {
    return absl::InvalidArgumentError(absl::StrCat("ExpectedAttention: ", args.query_heads, " of ",
                                                   args.total_query_heads, " query heads over ",
                                                   args.shape.kv_heads, " KV heads, ", rows,
                                                   " rows, ", out, " results"));
  }
  const std::size_t window = args.query_positions.size();
  if (window == 0 || args.queries.size() != window * args.query_heads * args.shape.key_dim) {
    return absl::InvalidArgumentError(
        absl::StrCat("ExpectedAttention: ", args.queries.size(), " query values for ", window,
                     " positions of ", args.query_heads, " heads of ", args.shape.key_dim));
  }
  const int pairs = static_cast<int>(args.rotary.frequencies.size());
  if (args.rotary.first_dim < 0 || args.rotary.first_dim + 2 * pairs > args.shape.key_dim) {
    return absl::InvalidArgumentError(
        absl::StrCat("ExpectedAttention: ", pairs, " rotary pairs from value ",
                     args.rotary.first_dim, " of ", args.shape.key_dim));
  }
  return absl::OkStatus();
}

/// The queries [window, query_heads, key_dim] as they are expected ahead: R times each of them, not
/// rotated.
std::vector<float> TurnedAhead(const ExpectedAttentionArgs& args) {
  std::vector<float> queries(args.queries.begin(), args.queries.end());
  const RotaryShape& rotary = args.rotary;
  const int pairs = static_cast<int>(rotary.frequencies.size());
  const int stride = rotary.interleaved ? 2 : 1;
  const int partner = rotary.interleaved ? 1 : pairs;
  const std::size_t width = static_cast<std::size_t>(args.query_heads) * args.shape.key_dim;
  for (int pair = 0; pair < pairs; ++pair) {
    const double frequency = rotary.frequencies[pair];
    const PlaneRotation ahead = MeanRotation(frequency, kExpectedPositions);
    for (std::size_t w = 0; w < args.query_positions.size(); ++w) {
      const PlaneRotation turn =
          Turned(ahead, frequency * (args.next_position - args.query_positions[w]));
      float* query = queries.data() + w * width + rotary.first_dim + pair * stride;
      for (int head = 0; head < args.query_heads; ++head, query += args.shape.key_dim) {
        const double x = query[0];
        const double y = query[partner];
        query[0] = static_cast<float>(turn.cosine * x - turn.sine * y);
        query[partner] = static_cast<float>(turn.sine * x + turn.cosine * y);
      }
    }
  }
  return queries;
}

/// Sums weights over heads, one KV head at a time.
class Scorer {
 public:
  explicit Scorer(const ExpectedAttentionArgs& args)
      : args_(args),
        layer_{args.cache, args.shape, args.block_size, args.block_table},
        rows_(static_cast<std::int64_t>(args.order.size())),
        dim_(args.shape.key_dim),
        window_(static_cast<int>(args.query_positions.size())),
        ahead_(TurnedAhead(args)),
        queries_(static_cast<std::size_t>(window_) * dim_),
        tile_(static_cast<std::size_t>(dim_) * kTileRows),
        logits_(static_cast<std::size_t>(window_) * kTileRows),
        expected_(static_cast<std::size_t>(rows_)),
        value_norms_(static_cast<std::size_t>(rows_)),
        weights_(static_cast<std::size_t>(rows_), 0.0) {}

  /// False where a query, a key or a value is not finite.
  bool AddKvHead(int kv_head) {
    if (!ReadValueNorms(kv_head)) return false;
    const int group = args_.query_heads / args_.shape.kv_heads;
    for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      SetQueries(head);
      Expect(kv_head);
      if (!AddHead()) return false;
    }
    return true;
  }

  double weight(std::int32_t row) const { return weights_[row]; }

 private:
  /// |v| of each row, as a share of the largest.
  bool ReadValueNorms(int kv_head) {
    const KvPlane& plane = args_.shape.value_in_key ? args_.cache.key : args_.cache.value;
    const HeadFormat format = FormatOf(args_.shape, plane, kv_head);
    for (std::int64_t row = 0; row < rows_; ++row) {
      const std::byte* value =
          RowAddress(plane, args_.block_table.data(), args_.block_size, row, kv_head);
      double squared = 0.0;
      WithDType(args_.shape.dtype, [&](auto dtype) {
        for (int d = 0; d < args_.shape.value_dim; ++d) {
          const double x = ReadValue<dtype>(value, d, format);
          squared += x * x;
        }
      });
      if (!std::isfinite(squared)) return false;
      value_norms_[row] = std::sqrt(squared);
    }
    const double largest = *std::max_element(value_norms_.begin(), value_norms_.end());
    if (largest == 0.0) return true;
    for (double& norm : value_norms_) norm /= largest;
    return true;
  }

  void SetQueries(int head) {
    for (int w = 0; w < window_; ++w) {
      const auto from =
          ahead_.begin() + (static_cast<std::ptrdiff_t>(w) * args_.query_heads + head) * dim_;
      std::copy(from, from + dim_, queries_.begin() + std::ptrdiff_t{w} * dim_);
    }
  }

  /// expected_ = z of every row.
  void Expect(int kv_head) {
    for (std::int64_t first = 0; first < rows_; first += kTileRows) {
      const std::int64_t rows = std::min<std::int64_t>(kTileRows, rows_ - first);
      LoadKeyTile(layer_, kv_head, first, rows, tile_.data());
      TileScores(queries_.data(), window_, dim_, tile_.data(), args_.scale, logits_.data(),
                 kTileRows);
      for (std::int64_t t = 0; t < rows; ++t) {
        double sum = 0.0;
        double sum_of_squares = 0.0;
        for (int w = 0; w < window_; ++w) {
          const double logit = logits_[std::int64_t{w} * kTileRows + t];
          sum += logit;
          sum_of_squares += logit * logit;
        }
        expected_[first + t] = ExpectedLogit(sum, sum_of_squares, window_);
      }
    }
  }

  bool AddHead() {
    const double max = *std::max_element(expected_.begin(), expected_.end());
    double sum = 0.0;
    for (double& value : expected_) sum += value = Exp(value - max);
    if (!std::isfinite(sum)) return false;
    for (std::int64_t row = 0; row < rows_; ++row) {
      weights_[row] += expected_[row] / sum * value_norms_[row];
    }
    return true;
  }

  const ExpectedAttentionArgs& args_;
  const PagedLayer layer_;
  const std::int64_t rows_;
  const int dim_;
  const int window_;
  const std::vector<float> ahead_;   // [window, query_heads, key_dim]
  std::vector<float> queries_;       // [window, key_dim], of one head
  std::vector<float> tile_;          // [key_dim, kTileRows]
  std::vector<float> logits_;        // [window, kTileRows]
  std::vector<double> expected_;     // [rows], of one head
  std::vector<double> value_norms_;  // [rows], of one KV head
  std::vector<double> weights_;      // [rows]
};

}  // namespace

absl::Status ExpectedAttention(const ExpectedAttentionArgs& args, absl::Span<std::int32_t> out) {
  PB_RETURN_IF_ERROR(CheckArgs(args, out.size()));
  if (out.empty()) return absl::OkStatus();
  Scorer scorer(args);
  for (int head = 0; head < args.shape.kv_heads; ++head) {
    if (!scorer.AddKvHead(head)) {
      return absl::InvalidArgumentError(
          "ExpectedAttention: a query, a key or a value is not finite");
    }
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = ExpectedShare(scorer.weight(args.order[i]), args.total_query_heads);
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
