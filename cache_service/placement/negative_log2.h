// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A logarithm of which every machine and compiler makes the same bits.
#pragma once

#include <bit>
#include <cstdint>

namespace pinboard::cache_service {

inline constexpr int kLog2FractionBits = 28;

/// -log2(x / 2^64) in units of 2^-28, of which it is off by 2 at most; x of 0 counts as 1. Positive
/// and at most 64 * 2^28, so that it may be multiplied by a weight of 16 bits.
///
/// Each squaring of the mantissa, kept in 31 fraction bits, gives one bit of the fraction: m^2 >= 2
/// says that log2 m >= 1/2. An error of a squaring counts half of one before it.
constexpr std::uint64_t NegativeLog2(std::uint64_t x) {
  x |= x == 0 ? 1 : 0;
  const int zeros = std::countl_zero(x);
  std::uint64_t mantissa = x << zeros >> 32;  // [1, 2) in units of 2^-31
  std::uint64_t log2 = 63 - zeros;
  for (int bit = 0; bit < kLog2FractionBits; ++bit) {
    const std::uint64_t square = mantissa * mantissa;  // [1, 4) in units of 2^-62
    const int carry = static_cast<int>(square >> 63);
    mantissa = square >> (31 + carry);
    log2 = log2 << 1 | carry;
  }
  return (std::uint64_t{64} << kLog2FractionBits) - log2;
}

}  // namespace pinboard::cache_service
