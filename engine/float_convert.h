// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Contiguous conversions between float and the 16-bit formats.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/dtype.h"

namespace pinboard::engine {

/// IEEE half bits to float: exact.
inline float HalfToFloat(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t magnitude = bits & 0x7fffU;
  // Scaling by 2^112 re-biases the exponent and normalises subnormals.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  const std::uint32_t special = magnitude >= 0x7c00U ? 0x7f800000U : 0U;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | sign | special);
}

/// `source` holds `count` elements and needs no alignment.
inline void BFloat16ToFloats(const std::byte* source, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, source + 2 * i, sizeof bits);
    out[i] = BFloat16ToFloat(bits);
  }
}

inline void HalfToFloats(const std::byte* source, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, source + 2 * i, sizeof bits);
    out[i] = HalfToFloat(bits);
  }
}

inline void FloatsToBFloat16(const float* source, std::size_t count, std::byte* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t bits = FloatToBFloat16(source[i]);
    std::memcpy(out + 2 * i, &bits, sizeof bits);
  }
}

}  // namespace pinboard::engine
