// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Contiguous conversions between float and the 16-bit formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/dtype.h"

namespace pinboard::engine {

/// `source` holds `count` elements and needs no alignment.
inline void BFloat16ToFloats(const std::byte* source, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, source + 2 * i, sizeof bits);
    out[i] = BFloat16ToFloat(bits);
  }
}

inline void Float16ToFloats(const std::byte* source, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, source + 2 * i, sizeof bits);
    out[i] = Float16ToFloat(bits);
  }
}

inline void FloatsToBFloat16(const float* source, std::size_t count, std::byte* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t bits = FloatToBFloat16(source[i]);
    std::memcpy(out + 2 * i, &bits, sizeof bits);
  }
}

}  // namespace pinboard::engine
