// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/fixed_point.h"
#include "base/status_macros.h"
#include "kernels/influence/influence.h"
#include "kernels/influence/influence_core.h"

namespace pinboard::kernels {
namespace {

absl::Status CheckSignal(absl::string_view name, std::size_t size, std::size_t rows) {
  if (size == rows) return absl::OkStatus();
  if (size == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("Fuse: the rule needs ", name, ", which was not taken"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("Fuse: ", rows, " scores, but ", size, " values of ", name));
}

template <typename ScoreOf>
void ForEachRow(absl::Span<std::int64_t> score, ScoreOf score_of) {
  for (std::size_t r = 0; r < score.size(); ++r) score[r] = score_of(r);
}

void FusePublished(const FuseArgs& args, absl::Span<std::int64_t> score) {
  ForEachRow(score, [&, exp_sum = args.totals.exp_sum.Value()](std::size_t r) {
    return ToFixed64(PublishedScore(args.alpha, args.attention[r], args.information[r], exp_sum),
                     kScoreFractionBits);
  });
}

void FuseMaxNormalised(const FuseArgs& args, absl::Span<std::int64_t> score) {
  const std::int32_t max_attention =
      score.empty() ? 0 : *std::max_element(args.attention.begin(), args.attention.end());
  ForEachRow(score, [&](std::size_t r) {
    return ToFixed64(MaxNormalisedScore(args.alpha, args.attention[r], max_attention,
                                        args.information[r], args.totals.max),
                     kScoreFractionBits);
  });
}

void FuseDistinct(const FuseArgs& args, absl::Span<std::int64_t> score) {
  constexpr std::size_t kReach = kPeakRows / 2;
  ForEachRow(score, [&](std::size_t r) {
    const auto begin = args.attention.begin();
    const std::int32_t peak = *std::max_element(begin + (r - std::min(r, kReach)),
                                                begin + std::min(r + kReach + 1, score.size()));
    return ToFixed64(DistinctScore(args.alpha, peak, args.redundancy[r]), kScoreFractionBits);
  });
}

}  // namespace

absl::Status CheckFuse(const FuseArgs& args, std::size_t rows) {
  if (NeedsAttention(args.rule)) {
    PB_RETURN_IF_ERROR(CheckSignal("attention", args.attention.size(), rows));
  }
  if (NeedsInformation(args.rule)) {
    PB_RETURN_IF_ERROR(CheckSignal("information", args.information.size(), rows));
  }
  if (args.rule == ScoreRule::kDistinct) {
    PB_RETURN_IF_ERROR(CheckSignal("redundancy", args.redundancy.size(), rows));
  }
  if (NeedsPositions(args.rule)) {
    PB_RETURN_IF_ERROR(CheckSignal("positions", args.positions.size(), rows));
  }
  if (!(args.alpha >= 0.0 && args.alpha <= 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Fuse: alpha is ", args.alpha, ": it must lie in [0, 1]"));
  }
  if (args.rule == ScoreRule::kPublished && rows > 0 && !(args.totals.exp_sum.Value() > 0.0)) {
    return absl::FailedPreconditionError(
        "Fuse: the published rule needs the totals of information, to which no token was added");
  }
  return absl::OkStatus();
}

absl::Status Information(absl::Span<const float> shift, absl::Span<const float> entropy, double tau,
                         absl::Span<std::int32_t> out) {
  if (shift.size() != entropy.size() || shift.size() != out.size()) {
    return absl::InvalidArgumentError(absl::StrCat("Information: ", shift.size(), " shifts, ",
                                                   entropy.size(), " entropies and ", out.size(),
                                                   " results: give one of each per token"));
  }
  for (std::size_t t = 0; t < out.size(); ++t) {
    const double information = InformationOf(shift[t], entropy[t], tau);
    if (!FitsInformation(information)) {
      return absl::InvalidArgumentError(absl::StrCat("Information: (", shift[t], " + ", tau, ") * ",
                                                     entropy[t], " of token ", t,
                                                     " is not below 64"));
    }
    out[t] = ToFixed32(information, kInformationFractionBits);
  }
  return absl::OkStatus();
}

void InformationTotals::Add(absl::Span<const std::int32_t> information) {
  for (const std::int32_t value : information) {
    exp_sum.Add(ExpInformation(value));
    max = std::max(max, value);
    sum += value;
  }
}

absl::Status Fuse(const FuseArgs& args, absl::Span<std::int64_t> score) {
  PB_RETURN_IF_ERROR(CheckFuse(args, score.size()));
  switch (args.rule) {
    case ScoreRule::kKeepAll:
      std::fill(score.begin(), score.end(), 0);
      break;
    case ScoreRule::kAttention:
      ForEachRow(score, [&](std::size_t r) {
        return WidenedScore(args.attention[r], kAttentionFractionBits);
      });
      break;
    case ScoreRule::kInformation:
      ForEachRow(score, [&](std::size_t r) {
        return WidenedScore(args.information[r], kInformationFractionBits);
      });
      break;
    case ScoreRule::kPublished:
      FusePublished(args, score);
      break;
    case ScoreRule::kMaxNormalised:
      FuseMaxNormalised(args, score);
      break;
    case ScoreRule::kDistinct:
      FuseDistinct(args, score);
      break;
    case ScoreRule::kRandom:
      ForEachRow(score, [&, key = RandomKey(args.seed, args.layer)](std::size_t r) {
        return RandomScore(key, args.positions[r]);
      });
      break;
    case ScoreRule::kRecency:
      ForEachRow(score, [&](std::size_t r) { return RecencyScore(args.positions[r]); });
      break;
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
