// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A sum of doubles that does not depend on their order: the softmax's denominator.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "base/host_device.h"

namespace pinboard::kernels {

/// Sums exp(E) in fixed point with kFractionBits: exactly where E >= 0, for then a double has no
/// digit below 2^-52; smaller terms are cut there. 32 bits of the sum to a counter of 64, so
/// counters carry nothing to each other, any of them may be added to at any time, by any thread,
/// and up to 2^32 terms fit.
struct ExpSum {
  static constexpr int kFractionBits = 52;
  static constexpr int kDigits = 5;  // of 32 bits: terms up to 2^93, 2^32 of them

  std::uint64_t digits[kDigits] = {};

  /// 0 <= term < 2^94.
  PB_HOST_DEVICE void Add(double term) {
    const auto bits = std::bit_cast<std::uint64_t>(term);
    const auto exponent = static_cast<int>(bits >> 52U) - 1023;  // of the term's highest bit
    std::uint64_t mantissa = (bits & 0xfffffffffffffU) | 0x10000000000000U;
    if (exponent < 0) {
      mantissa = exponent < -kFractionBits ? 0 : mantissa >> -exponent;
    }
    const int shift = exponent > 0 ? exponent : 0;
    const int offset = shift % 32;
    const std::uint64_t low = mantissa << offset;
    const std::uint64_t high = mantissa >> (63 - offset) >> 1U;
    const int first = shift / 32;
    for (int i = 0; i < kDigits; ++i) {  // by constant index: the digits stay in registers
      if (i == first) digits[i] += low & 0xffffffffU;
      if (i == first + 1) digits[i] += low >> 32U;
      if (i == first + 2) digits[i] += high;
    }
  }

  PB_HOST_DEVICE void Add(const ExpSum& other) {
    for (int i = 0; i < kDigits; ++i) digits[i] += other.digits[i];
  }

  /// The sum within 2^-50 of itself: a function of the terms alone.
  PB_HOST_DEVICE double Value() const {
    std::uint32_t whole[kDigits + 1];
    std::uint64_t carry = 0;
    for (int i = 0; i < kDigits; ++i) {
      carry += digits[i] & 0xffffffffU;
      whole[i] = static_cast<std::uint32_t>(carry);
      carry = (carry >> 32U) + (digits[i] >> 32U);
    }
    whole[kDigits] = static_cast<std::uint32_t>(carry);
    double value = 0.0;
    for (int i = kDigits; i >= 0; --i) value = value * 0x1p32 + whole[i];
    return value * 0x1p-52;
  }
};

}  // namespace pinboard::kernels
