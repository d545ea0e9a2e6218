// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a digest.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/host_device.h"
#include "base/page.h"
#include "kernels/page_digest/page_digest.h"

namespace pinboard::kernels {

inline constexpr int kKeySteps = 127;
inline constexpr int kClusterPasses = 6;

/// The row whose key is the first guess of a centre: the middle of its share of the page.
PB_HOST_DEVICE constexpr int FirstRowOf(int centre) {
  return (2 * centre + 1) * kPageRows / (2 * kDigestCentres);
}

/// round(key / scale), ties to even, within +-kKeySteps; 0 where the scale is 0.
PB_HOST_DEVICE inline std::int32_t QuantisedKey(float key, float scale) {
  if (scale == 0.0F) return 0;
  const float steps = std::nearbyint(key / scale);
  if (steps > kKeySteps) return kKeySteps;
  if (steps < -kKeySteps) return -kKeySteps;
  return static_cast<std::int32_t>(steps);
}

/// sum / count rounded to nearest, ties up. Requires count > 0.
PB_HOST_DEVICE constexpr std::int32_t RoundedMean(std::int32_t sum, std::int32_t count) {
  const std::int32_t twice = 2 * sum + count;
  const std::int32_t quotient = twice / (2 * count);
  return quotient - (twice % (2 * count) < 0 ? 1 : 0);
}

/// RoundedMean of at most kPageRows steps by one count, without a division: a quarter is added to a
/// quotient that is a multiple of 1 / (2 * count) >= 1/32, so that no rounding takes it below the
/// whole number it may be.
class MeanOf {
 public:
  PB_HOST_DEVICE explicit MeanOf(std::int32_t count)
      : count_(count), reciprocal_(1.0F / static_cast<float>(2 * count)) {}
  PB_HOST_DEVICE std::int32_t operator()(std::int32_t sum) const {
    const float twice = static_cast<float>(2 * sum + count_) + 0.25F;
    return static_cast<std::int32_t>(std::floor(twice * reciprocal_));
  }

 private:
  std::int32_t count_;
  float reciprocal_;
};

}  // namespace pinboard::kernels
