// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// exp and log that give the same bits on every machine, build and device.
#pragma once

#include <bit>
#include <cstdint>

#include "base/host_device.h"

namespace pinboard::kernels {

/// e^x for x <= 0, within 1.2 ulp for x >= -87 and 0 below: what a softmax needs after its maximum
/// has been subtracted. Without branches, so that loops over it become vector code. NaN gives NaN.
PB_HOST_DEVICE inline float ExpOfNonPositive(float x) {
  constexpr float kLowest = -87.0F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = x < kLowest ? kLowest : x;
  const float shifted = clamped * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;  // ln 2 in two parts
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const float power = std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) + 127U) << 23U);
  return x < kLowest ? 0.0F : p * power;
}

/// e^x within 1.2 ulp for -708 <= x <= 709; 0 below, infinity above.
PB_HOST_DEVICE inline double Exp(double x) {
  if (x < -708.0) return 0.0;
  if (x > 709.0) return std::bit_cast<double>(std::uint64_t{0x7ff0000000000000});
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52
  const double shifted = x * 1.4426950408889634 + kRound;
  const double n = shifted - kRound;
  const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  double p = 1.0 / 6227020800;
  p = p * r + 1.0 / 479001600;
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const std::uint64_t power = (std::bit_cast<std::uint64_t>(shifted) + 1023U) << 52U;
  return p * std::bit_cast<double>(power);
}

/// ln x within 2 ulp for normal x > 0.
PB_HOST_DEVICE inline double Log(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<int>(bits >> 52U) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffU) | 0x3ff0000000000000U);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0);  // ln m = 2 atanh(s)
  const double z = s * s;
  double p = 1.0 / 23;
  for (int odd = 21; odd >= 3; odd -= 2) p = p * z + 1.0 / odd;
  const double n = exponent;
  return n * 6.93147180369123816490e-01 +
         (2.0 * s + (2.0 * s * z * p + n * 1.90821492927058770002e-10));
}

}  // namespace pinboard::kernels
