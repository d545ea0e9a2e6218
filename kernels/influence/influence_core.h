// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The arithmetic of information and fusion.
#pragma once

#include <cstdint>

#include "base/fixed_point.h"
#include "base/host_device.h"
#include "base/score_rule.h"
#include "kernels/portable_math.h"
#include "kernels/splitmix64.h"

namespace pinboard::kernels {

/// Which signals a rule reads.
constexpr bool NeedsAttention(ScoreRule rule) {
  return rule == ScoreRule::kAttention || rule == ScoreRule::kPublished ||
         rule == ScoreRule::kMaxNormalised || rule == ScoreRule::kDistinct;
}
constexpr bool NeedsInformation(ScoreRule rule) {
  return rule == ScoreRule::kInformation || rule == ScoreRule::kPublished ||
         rule == ScoreRule::kMaxNormalised;
}
constexpr bool NeedsPositions(ScoreRule rule) {
  return rule == ScoreRule::kRandom || rule == ScoreRule::kRecency;
}

/// (D + tau) * H, not yet rounded.
PB_HOST_DEVICE inline double InformationOf(float shift, float entropy, double tau) {
  return (static_cast<double>(shift) + tau) * static_cast<double>(entropy);
}

/// False for what an int32 with kInformationFractionBits does not hold, NaN included.
PB_HOST_DEVICE inline bool FitsInformation(double information) {
  constexpr double kLargest = 64.0 - 0x1p-25;
  return information >= -kLargest && information <= kLargest;
}

/// exp(E), a term of the softmax over E.
PB_HOST_DEVICE inline double ExpInformation(std::int32_t information) {
  return Exp(FromFixed(information, kInformationFractionBits));
}

/// alpha * A + (1 - alpha) * softmax(E), not yet rounded.
PB_HOST_DEVICE inline double PublishedScore(double alpha, std::int32_t attention,
                                            std::int32_t information, double exp_sum) {
  return alpha * FromFixed(attention, kAttentionFractionBits) +
         (1.0 - alpha) * (ExpInformation(information) / exp_sum);
}

/// x / max, 0 where the maximum is not positive.
PB_HOST_DEVICE inline double ShareOfMaximum(std::int32_t x, std::int32_t max) {
  return max > 0 ? static_cast<double>(x) / static_cast<double>(max) : 0.0;
}

/// alpha * A / max A + (1 - alpha) * E / max E, not yet rounded.
PB_HOST_DEVICE inline double MaxNormalisedScore(double alpha, std::int32_t attention,
                                                std::int32_t max_attention,
                                                std::int32_t information,
                                                std::int32_t max_information) {
  return alpha * ShareOfMaximum(attention, max_attention) +
         (1.0 - alpha) * ShareOfMaximum(information, max_information);
}

/// A signal of `fraction_bits` as a score, without loss.
PB_HOST_DEVICE inline std::int64_t WidenedScore(std::int32_t signal, int fraction_bits) {
  return static_cast<std::int64_t>(signal) *
         (std::int64_t{1} << (kScoreFractionBits - fraction_bits));
}

/// Rows around one, itself among them, whose largest attention counts for it under kDistinct.
inline constexpr int kPeakRows = 7;

/// alpha * peak of A - (1 - alpha) * R, not yet rounded.
PB_HOST_DEVICE inline double DistinctScore(double alpha, std::int32_t peak_attention,
                                           std::int32_t redundancy) {
  return alpha * FromFixed(peak_attention, kAttentionFractionBits) -
         (1.0 - alpha) * FromFixed(redundancy, kAttentionFractionBits);
}

/// The key that RandomScore hashes positions with.
PB_HOST_DEVICE inline std::uint64_t RandomKey(std::uint64_t seed, int layer) {
  return SplitMix64(SplitMix64(seed) + static_cast<std::uint64_t>(layer));
}

/// The position in steps of E, so that a page's mean in 32 bits is the mean of its positions.
PB_HOST_DEVICE inline std::int64_t RecencyScore(std::int32_t position) {
  return std::int64_t{position} << (kScoreFractionBits - kInformationFractionBits);
}

PB_HOST_DEVICE inline std::int64_t RandomScore(std::uint64_t key, std::int32_t position) {
  return static_cast<std::int64_t>(SplitMix64(key + static_cast<std::uint64_t>(position)) >> 18U);
}

}  // namespace pinboard::kernels
