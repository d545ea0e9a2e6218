// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Fixed-point formats of everything that decides: integers sum to the same value on every rank.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.h"

namespace pinboard {

/// Attention shares. One rank contributes (1 / all query heads) * sum over its heads, so the sum
/// over ranks is at most 1 and at most 2^30: int32 never overflows. Each rank rounds once, so the
/// merged value differs from the exact sum by at most tp * 2^-31.
inline constexpr int kAttentionFractionBits = 30;

/// Information E = (D + tau) * H <= (2 + tau) * ln k, below 64 for tau <= 8 and k <= 512. Only one
/// rank contributes a token's E, so its error is at most 2^-26.
inline constexpr int kInformationFractionBits = 25;

/// Fused scores, computed once per rank from merged integers in a fixed order.
inline constexpr int kScoreFractionBits = 40;

/// Nearest fixed-point value, halves away from zero. Requires |value| * 2^bits to fit the type.
PB_HOST_DEVICE inline std::int32_t ToFixed32(double value, int fraction_bits) {
  return static_cast<std::int32_t>(std::llround(std::ldexp(value, fraction_bits)));
}
PB_HOST_DEVICE inline std::int64_t ToFixed64(double value, int fraction_bits) {
  return static_cast<std::int64_t>(std::llround(std::ldexp(value, fraction_bits)));
}
PB_HOST_DEVICE inline double FromFixed(std::int64_t value, int fraction_bits) {
  return std::ldexp(static_cast<double>(value), -fraction_bits);
}

}  // namespace pinboard
