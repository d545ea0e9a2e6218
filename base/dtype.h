// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Conversions between float and the 16-bit formats of weights and caches.
#pragma once

#include <bit>
#include <cstdint>

#include "base/host_device.h"
#include "pinboard/kv_layout.h"

namespace pinboard {

/// bfloat16 bits to float: exact.
PB_HOST_DEVICE inline float BFloat16ToFloat(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Nearest bfloat16, ties to even; NaN stays NaN.
PB_HOST_DEVICE inline std::uint16_t FloatToBFloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace pinboard
