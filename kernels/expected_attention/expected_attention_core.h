// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The arithmetic of expected attention. Sines and cosines are the C library's, and may differ by
// CPU: a rank's share is its own, and what all ranks decide by is the sum.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/fixed_point.h"
#include "base/host_device.h"

namespace pinboard::kernels {

/// A rotation by an angle, or a mean of such: (x, y) -> (cosine x - sine y, sine x + cosine y).
struct PlaneRotation {
  double cosine = 1.0;
  double sine = 0.0;
};

/// The mean of the rotations by frequency * (0, 1, ..., positions - 1).
PB_HOST_DEVICE inline PlaneRotation MeanRotation(double frequency, int positions) {
  PlaneRotation mean{0.0, 0.0};
  for (int t = 0; t < positions; ++t) {
    mean.cosine += std::cos(frequency * t);
    mean.sine += std::sin(frequency * t);
  }
  return {mean.cosine / positions, mean.sine / positions};
}

/// `rotation` and then one by `angle`.
PB_HOST_DEVICE inline PlaneRotation Turned(PlaneRotation rotation, double angle) {
  const double cosine = std::cos(angle);
  const double sine = std::sin(angle);
  return {rotation.cosine * cosine - rotation.sine * sine,
          rotation.cosine * sine + rotation.sine * cosine};
}

/// z of a row, from the sum and the sum of squares of the window's logits.
PB_HOST_DEVICE inline double ExpectedLogit(double sum, double sum_of_squares, int window) {
  const double mean = sum / window;
  return mean + (sum_of_squares / window - mean * mean) / 2;
}

/// The rank's share of a row, from the sum over its heads.
PB_HOST_DEVICE inline std::int32_t ExpectedShare(double weight, int total_query_heads) {
  return ToFixed32(weight / total_query_heads, kAttentionFractionBits);
}

}  // namespace pinboard::kernels
