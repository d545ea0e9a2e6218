// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Information E, and the fusion of E with attention A into the score that decides.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/score_rule.h"
#include "kernels/influence/exp_sum.h"

namespace pinboard::kernels {

/// out[t] = fixed((shift[t] + tau) * entropy[t]), base/fixed_point.h (docs/method.md section 2, E).
absl::Status Information(absl::Span<const float> shift, absl::Span<const float> entropy, double tau,
                         absl::Span<std::int32_t> out);

/// What the fusion needs of ALL tokens seen so far in one layer, dropped ones included. Tokens are
/// added once each, in any order, from merged fixed-point values: identical on every rank and
/// device.
struct InformationTotals {
  ExpSum exp_sum;  // of exp(E), the softmax's denominator
  std::int32_t max = 0;
  std::int64_t sum = 0;  // of E

  void Add(absl::Span<const std::int32_t> information);
};

struct FuseArgs {
  ScoreRule rule = ScoreRule::kPublished;
  double alpha = 0.9;      // weight of attention against the other signal
  std::uint64_t seed = 0;  // kRandom
  int layer = 0;           // kRandom
  absl::Span<const std::int32_t>
      attention;  // [rows], merged over ranks; empty where the rule needs none
  absl::Span<const std::int32_t> information;  // [rows], likewise
  absl::Span<const std::int32_t> positions;    // [rows]
  InformationTotals totals;
  absl::Span<const std::int32_t> redundancy;  // [rows], as attention: key_redundancy.h
};

/// What Fuse refuses, for `rows` scores. FailedPrecondition: the rule needs a signal that is
/// absent. InvalidArgument: sizes disagree, or alpha lies outside [0, 1].
absl::Status CheckFuse(const FuseArgs& args, std::size_t rows);

/// score[r] by `rule` with base/fixed_point.h's kScoreFractionBits. Fixed order, no fast math: the
/// same inputs give the same integers on every rank, whatever its CPU. kKeepAll scores every row 0;
/// kRecency scores position << 15; kDistinct scores alpha * A' - (1 - alpha) * R, where A' is the
/// largest A of the 7 rows around the row (R-KV, arXiv:2505.24133, on one set for all heads);
/// kRandom scores
///   SplitMix64(SplitMix64(SplitMix64(seed) + layer) + position) >> 18,   sums mod 2^64,
/// where SplitMix64(x) is the first output of that generator seeded with x:
///   z = x + 0x9e3779b97f4a7c15; z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
///   z = (z ^ z >> 27) * 0x94d049bb133111eb; SplitMix64(x) = z ^ z >> 31.
/// Errors: CheckFuse's.
absl::Status Fuse(const FuseArgs& args, absl::Span<std::int64_t> score);

}  // namespace pinboard::kernels
