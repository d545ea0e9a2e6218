// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Conversions between float and the 16-bit and 8-bit formats of weights and caches.
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

/// IEEE half precision bits to float: exact.
PB_HOST_DEVICE inline float Float16ToFloat(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t magnitude = (bits & 0x7fffU) << 13;
  if (magnitude >= 0x7c00U << 13) return std::bit_cast<float>(sign | 0x70000000U | magnitude);
  const float value = std::bit_cast<float>(magnitude) * 0x1p112F;  // the biases' difference
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

/// Nearest half precision value, ties to even, infinity beyond 65,504; NaN stays NaN.
PB_HOST_DEVICE inline std::uint16_t FloatToFloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t half = 0;
  if (magnitude > 0x7f800000U) {
    half = 0x7e00U;
  } else if (magnitude >= 0x477ff000U) {  // 65,520
    half = 0x7c00U;
  } else if (magnitude >= 0x38800000U) {  // 2^-14
    half = (magnitude - 0x38000000U + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
  } else {  // a multiple of 2^-24, the last place of 1/2
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000U;
  }
  return static_cast<std::uint16_t>(sign | half);
}

/// e4m3 bits to float: exact.
PB_HOST_DEVICE inline float E4M3ToFloat(std::uint8_t bits) {
  const std::uint32_t sign = (bits & 0x80U) << 24;
  const std::uint32_t magnitude = (bits & 0x7fU) << 20;
  if (magnitude == 0x7fU << 20) return std::bit_cast<float>(sign | 0x7fc00000U);
  const float value = std::bit_cast<float>(magnitude) * 0x1p120F;  // the biases' difference
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

/// Nearest e4m3 value, ties to even, at most 448 in magnitude; NaN stays NaN.
PB_HOST_DEVICE inline std::uint8_t FloatToE4M3(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 24) & 0x80U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t eight = 0;
  if (magnitude > 0x7f800000U) {
    eight = 0x7fU;
  } else if (magnitude >= 0x43e00000U) {  // 448
    eight = 0x7eU;
  } else if (magnitude >= 0x3c800000U) {  // 2^-6
    eight = (magnitude - 0x3c000000U + 0x7ffffU + ((magnitude >> 20) & 1U)) >> 20;
  } else {  // a multiple of 2^-9, the last place of 2^14
    eight = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0x1p14F) - 0x46800000U;
  }
  return static_cast<std::uint8_t>(sign | eight);
}

}  // namespace pinboard
