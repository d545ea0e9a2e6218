// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/dtype.h"
#include "base/fixed_point.h"
#include "base/status_macros.h"
#include "kernels/key_values.h"
#include "kernels/page_digest/page_digest.h"
#include "kernels/paged_rows.h"
#include "kernels/row_scores.h"

namespace pinboard::kernels {
namespace {

absl::Status CheckDigests(const PageScoreArgs& args) {
  const auto heads = static_cast<std::size_t>(args.shape.kv_heads);
  const std::size_t width = heads * static_cast<std::size_t>(args.shape.key_dim);
  const std::size_t slots = args.digests.radius_scale.size() / heads;
  if (args.digests.centre.size() != slots * width || args.digests.radius.size() != slots * width ||
      args.digests.radius_scale.size() != slots * heads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ScorePages: ", args.digests.centre.size(), " centres, ", args.digests.radius.size(),
        " radii and ", args.digests.radius_scale.size(), " scales do not describe whole pages"));
  }
  for (const std::int32_t page : args.pages) {
    if (page < 0 || static_cast<std::size_t>(page) >= slots) {
      return absl::InvalidArgumentError(
          absl::StrCat("ScorePages: page ", page, " of ", slots, " digests"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckArgs(const PageScoreArgs& args, std::size_t out) {
  PB_RETURN_IF_ERROR(CheckShape("ScorePages", args.shape));
  PB_RETURN_IF_ERROR(CheckDigests(args));
  if (out != args.pages.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ScorePages: ", args.pages.size(), " pages, but ", out, " results"));
  }
  if (args.query_heads <= 0 || args.query_heads % args.shape.kv_heads != 0 ||
      args.total_query_heads < args.query_heads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ScorePages: ", args.query_heads, " of ", args.total_query_heads, " query heads over ",
        args.shape.kv_heads, " KV heads: the latter must divide the first"));
  }
  const auto width = static_cast<std::size_t>(args.query_heads) * args.shape.key_dim;
  if (args.tokens <= 0 || args.queries.size() != args.tokens * width) {
    return absl::InvalidArgumentError(
        absl::StrCat("ScorePages: ", args.queries.size(), " query values for ", args.tokens,
                     " tokens of ", args.query_heads, " heads of ", args.shape.key_dim));
  }
  return absl::OkStatus();
}

/// Scores pages as rows of twice the dimension: [q | abs(q)] . [centre | radius].
class PageScorer {
 public:
  explicit PageScorer(const PageScoreArgs& args)
      : args_(args),
        dim_(args.shape.key_dim),
        group_(args.query_heads / args.shape.kv_heads),
        pages_(static_cast<std::int64_t>(args.pages.size())),
        padded_(PaddedRows(pages_)),
        boxes_(static_cast<std::size_t>(2 * dim_) * kTileRows),
        queries_(static_cast<std::size_t>(2 * dim_) * group_),
        scores_(static_cast<std::size_t>(padded_) * group_),
        shares_(static_cast<std::size_t>(padded_)) {}

  /// The sum over this rank's heads of the softmax over the pages for one token, [padded pages].
  /// Null where a query or a digest is not finite.
  const double* Score(int token) {
    std::fill(shares_.begin(), shares_.end(), 0.0);
    for (int kv_head = 0; kv_head < args_.shape.kv_heads; ++kv_head) {
      LoadQueries(token, kv_head);
      for (std::int64_t page = 0; page < pages_; page += kTileRows) {
        LoadBoxes(kv_head, page, std::min<std::int64_t>(kTileRows, pages_ - page));
        TileScores(queries_.data(), group_, 2 * dim_, boxes_.data(), args_.scale,
                   scores_.data() + page, padded_);
      }
      for (int i = 0; i < group_; ++i) {
        float* scores = scores_.data() + i * padded_;
        std::fill(scores + pages_, scores + padded_, -std::numeric_limits<float>::infinity());
        const double sum = ExpAndSum(scores, padded_, MaxScore(scores, padded_));
        if (!std::isfinite(sum)) return nullptr;
        AddWeighted(scores, padded_, 1.0 / sum, shares_.data());
      }
    }
    return shares_.data();
  }

 private:
  void LoadQueries(int token, int kv_head) {
    const std::int64_t head = std::int64_t{token} * args_.query_heads + kv_head * group_;
    const float* query = args_.queries.data() + head * dim_;
    float* to = queries_.data();
    for (int i = 0; i < group_; ++i, query += dim_) {
      to = std::copy(query, query + dim_, to);
      to = std::transform(query, query + dim_, to, [](float q) { return std::abs(q); });
    }
  }

  void LoadBoxes(int kv_head, std::int64_t first, std::int64_t pages) {
    for (std::int64_t t = 0; t < pages; ++t) {
      const std::int64_t head =
          std::int64_t{args_.pages[first + t]} * args_.shape.kv_heads + kv_head;
      const std::uint16_t* centre = args_.digests.centre.data() + head * dim_;
      const std::uint8_t* radius = args_.digests.radius.data() + head * dim_;
      const float scale = args_.digests.radius_scale[head];
      for (int d = 0; d < dim_; ++d) {
        boxes_[d * kTileRows + t] = BFloat16ToFloat(centre[d]);
        boxes_[(dim_ + d) * kTileRows + t] = static_cast<float>(radius[d]) * scale;
      }
    }
  }

  const PageScoreArgs& args_;
  const int dim_;
  const int group_;
  const std::int64_t pages_;
  const std::int64_t padded_;
  std::vector<float> boxes_;    // [2 * key_dim, kTileRows]
  std::vector<float> queries_;  // [group, 2 * key_dim]
  std::vector<float> scores_;   // [group, padded pages]
  std::vector<double> shares_;  // [padded pages]
};

}  // namespace

absl::Status ScorePages(const PageScoreArgs& args, absl::Span<std::int32_t> out) {
  PB_RETURN_IF_ERROR(CheckArgs(args, out.size()));
  if (out.empty()) return absl::OkStatus();
  PageScorer scorer(args);
  std::fill(out.begin(), out.end(), 0);
  for (int token = 0; token < args.tokens; ++token) {
    const double* shares = scorer.Score(token);
    if (shares == nullptr) {
      return absl::InvalidArgumentError("ScorePages: a query or a digest is not finite");
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] =
          std::max(out[i], ToFixed32(shares[i] / args.total_query_heads, kAttentionFractionBits));
    }
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
