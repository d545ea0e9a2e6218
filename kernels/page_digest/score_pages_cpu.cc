// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fixed_point.h"
#include "base/status_macros.h"
#include "kernels/page_digest/page_digest.h"
#include "kernels/paged_rows.h"
#include "kernels/row_scores.h"

namespace pinboard::kernels {
namespace {

absl::Status CheckDigests(const PageScoreArgs& args) {
  const auto heads = static_cast<std::size_t>(args.shape.kv_heads);
  const std::size_t centres = heads * kDigestCentres;
  const std::size_t slots = args.digests.step.size() / heads;
  if (args.digests.centres.size() != slots * centres * args.shape.key_dim ||
      args.digests.counts.size() != slots * centres || args.digests.step.size() != slots * heads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ScorePages: ", args.digests.centres.size(), " centre values, ", args.digests.counts.size(),
        " row counts and ", args.digests.step.size(), " steps do not describe whole pages"));
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

/// Scores centres as if they were rows, then brings those of a page together.
class PageScorer {
 public:
  explicit PageScorer(const PageScoreArgs& args)
      : args_(args),
        dim_(args.shape.key_dim),
        group_(args.query_heads / args.shape.kv_heads),
        centres_(static_cast<std::int64_t>(args.pages.size()) * kDigestCentres),
        padded_(PaddedRows(centres_)),
        tile_(static_cast<std::size_t>(dim_) * kTileRows),
        counts_(static_cast<std::size_t>(centres_)),
        scores_(static_cast<std::size_t>(padded_) * group_),
        mass_(args.pages.size()),
        shares_(args.pages.size()) {}

  /// The sum over this rank's heads of p^2 for one token, [pages]. Null where a query or a digest
  /// is not finite.
  const double* Score(int token) {
    std::fill(shares_.begin(), shares_.end(), 0.0);
    for (int kv_head = 0; kv_head < args_.shape.kv_heads; ++kv_head) {
      const float* queries = args_.queries.data() +
                             (std::int64_t{token} * args_.query_heads + kv_head * group_) * dim_;
      for (std::int64_t first = 0; first < centres_; first += kTileRows) {
        LoadTile(kv_head, first, std::min<std::int64_t>(kTileRows, centres_ - first));
        TileScores(queries, group_, dim_, tile_.data(), args_.attention_scale,
                   scores_.data() + first, padded_);
      }
      for (int i = 0; i < group_; ++i) {
        if (!AddHead(scores_.data() + i * padded_)) return nullptr;
      }
    }
    return shares_.data();
  }

 private:
  void LoadTile(int kv_head, std::int64_t first, std::int64_t count) {
    for (std::int64_t t = 0; t < count; ++t) {
      const std::int64_t centre = first + t;
      const std::int64_t head =
          std::int64_t{args_.pages[centre / kDigestCentres]} * args_.shape.kv_heads + kv_head;
      const std::int64_t at = head * kDigestCentres + centre % kDigestCentres;
      const std::int8_t* steps = args_.digests.centres.data() + at * dim_;
      const float step = args_.digests.step[head];
      for (int d = 0; d < dim_; ++d) {
        tile_[d * kTileRows + t] = static_cast<float>(steps[d]) * step;
      }
      counts_[centre] = args_.digests.counts[at];
    }
  }

  bool AddHead(float* scores) {
    constexpr float kNone = -std::numeric_limits<float>::infinity();
    std::fill(scores + centres_, scores + padded_, kNone);
    for (std::int64_t c = 0; c < centres_; ++c) {
      if (counts_[c] == 0) scores[c] = kNone;
    }
    if (!std::isfinite(ExpAndSum(scores, padded_, MaxScore(scores, padded_)))) return false;
    double sum = 0.0;
    for (std::size_t page = 0; page < mass_.size(); ++page) {
      mass_[page] = 0.0;
      for (std::size_t c = page * kDigestCentres; c < (page + 1) * kDigestCentres; ++c) {
        mass_[page] += counts_[c] * static_cast<double>(scores[c]);
      }
      sum += mass_[page];
    }
    for (std::size_t page = 0; page < mass_.size(); ++page) {
      const double share = mass_[page] / sum;
      shares_[page] += share * share;
    }
    return true;
  }

  const PageScoreArgs& args_;
  const int dim_;
  const int group_;
  const std::int64_t centres_;  // of all live pages
  const std::int64_t padded_;
  std::vector<float> tile_;           // [key_dim, kTileRows]
  std::vector<std::uint8_t> counts_;  // [centres]
  std::vector<float> scores_;         // [group, padded centres]
  std::vector<double> mass_;          // [pages], of one head
  std::vector<double> shares_;        // [pages]
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
