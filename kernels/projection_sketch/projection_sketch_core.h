// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The random signs of a sketch.
#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "kernels/splitmix64.h"

namespace pinboard::kernels {

/// Signs of projection j for dimensions [64 * group, 64 * group + 64), a bit each: set is -1.
PB_HOST_DEVICE inline std::uint64_t SketchSigns(std::uint32_t j, std::uint32_t group) {
  return SplitMix64((std::uint64_t{j} << 32U) | group);
}

PB_HOST_DEVICE inline float SketchSign(std::uint64_t signs, int bit) {
  return ((signs >> bit) & 1U) != 0 ? -1.0F : 1.0F;
}

}  // namespace pinboard::kernels
