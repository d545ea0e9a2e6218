// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a digest.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/dtype.h"
#include "kernels/host_device.h"

namespace pinboard::kernels {

inline constexpr int kRadiusSteps = 255;

/// (min + max) / 2 as stored.
PB_HOST_DEVICE inline std::uint16_t CentreOf(float min, float max) {
  return FloatToBFloat16(0.5F * min + 0.5F * max);
}

/// The smallest scale found with kRadiusSteps * scale >= largest.
PB_HOST_DEVICE inline float RadiusScale(float largest) {
  float scale = largest / kRadiusSteps;
  while (scale * kRadiusSteps < largest) scale = std::nextafter(scale, HUGE_VALF);
  return scale;
}

/// The smallest step with step * scale >= radius. Requires radius <= kRadiusSteps * scale.
PB_HOST_DEVICE inline std::uint8_t QuantisedRadius(float radius, float scale) {
  if (scale == 0.0F) return 0;
  int step = static_cast<int>(radius / scale);
  if (static_cast<float>(step) * scale < radius) ++step;
  return static_cast<std::uint8_t>(step);
}

}  // namespace pinboard::kernels
