// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The order of candidates, and the entropy of those that remain.
#pragma once

#include <bit>
#include <cstdint>

#include "base/host_device.h"
#include "kernels/portable_math.h"

namespace pinboard::kernels {

/// An unsigned integer that orders candidates: larger logit first, ties to the lower column. The
/// two zeros tie. Requires a logit that is not NaN.
PB_HOST_DEVICE inline std::uint64_t CandidateKey(float logit, std::uint32_t column) {
  const auto bits = std::bit_cast<std::uint32_t>(logit + 0.0F);
  const std::uint32_t ordered = (bits >> 31U) != 0 ? ~bits : bits | 0x80000000U;
  return (std::uint64_t{ordered} << 32U) | (0xffffffffU - column);
}

PB_HOST_DEVICE inline std::uint32_t CandidateColumn(std::uint64_t key) {
  return 0xffffffffU - static_cast<std::uint32_t>(key);
}

/// The logit of a candidate; either zero gives 0.
PB_HOST_DEVICE inline float CandidateLogit(std::uint64_t key) {
  const auto ordered = static_cast<std::uint32_t>(key >> 32U);
  return std::bit_cast<float>((ordered >> 31U) != 0 ? ordered ^ 0x80000000U : ~ordered);
}

/// Entropy in nats of softmax over `count` logits in descending order: ln Z - sum p (x - x_0),
/// Z = sum exp(x - x_0). Requires a finite first logit; a logit of -inf weighs nothing.
PB_HOST_DEVICE inline double EntropyOfDescending(const float* logits, int count) {
  double z = 0.0;
  double weighted = 0.0;
  for (int i = 0; i < count; ++i) {
    const double x = static_cast<double>(logits[i]) - static_cast<double>(logits[0]);
    const double weight = Exp(x);
    if (weight == 0.0) break;
    z += weight;
    weighted += weight * x;
  }
  return Log(z) - weighted / z;
}

}  // namespace pinboard::kernels
