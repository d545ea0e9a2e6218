// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The total order of selection, and bins that follow it.
#pragma once

#include <bit>
#include <cstdint>

#include "base/host_device.h"

namespace pinboard::kernels {

struct ScoredRow {
  std::int64_t score;
  std::int32_t row;
};

/// Higher score first, ties to the lower row: no two rows are equal, so every algorithm and device
/// selects the same ones.
PB_HOST_DEVICE inline bool Precedes(const ScoredRow& a, const ScoredRow& b) {
  return a.score != b.score ? a.score > b.score : a.row < b.row;
}

/// Unsigned keys that ascend as scores descend.
PB_HOST_DEVICE inline std::uint64_t DescendingKey(std::int64_t score) {
  return ~(static_cast<std::uint64_t>(score) ^ (std::uint64_t{1} << 63U));
}

/// Of 64 bits. In halves, because nvcc 13.0 compiles std::countl_zero of 64 bits to a constant 64.
PB_HOST_DEVICE inline int LeadingZeros(std::uint64_t bits) {
  const auto high = static_cast<std::uint32_t>(bits >> 32U);
  return high != 0 ? std::countl_zero(high)
                   : 32 + std::countl_zero(static_cast<std::uint32_t>(bits));
}

/// Binary digits of a score's magnitude, after the leading one, that tell bins apart.
inline constexpr int kBinDigits = 6;
/// Bins of scores from 0 up; as many, less the one of 0, are below.
inline constexpr int kBinsOfOneSign = ((63 - kBinDigits + 1) << kBinDigits) + 1;
inline constexpr int kScoreBins = 2 * kBinsOfOneSign - 1;

/// The bin of a score, descending as scores ascend and 2^-6 of the score wide at any scale: a
/// histogram over bins finds the neighbourhood of a rank in one pass, whatever the scores' range.
PB_HOST_DEVICE inline int ScoreBin(std::int64_t score) {
  const auto bits = static_cast<std::uint64_t>(score);
  const std::uint64_t magnitude = score < 0 ? ~bits + 1 : bits;
  int code = static_cast<int>(magnitude);
  if (magnitude >> kBinDigits != 0) {
    // In halves of 32 bits, which is what a device shifts and counts.
    const auto high = static_cast<std::uint32_t>(magnitude >> 32U);
    const auto low = static_cast<std::uint32_t>(magnitude);
    const std::uint32_t first = high != 0 ? high : low;
    const std::uint32_t second = high != 0 ? low : 0;
    const int zeros = std::countl_zero(first);
    const auto leading = static_cast<std::uint32_t>(
        (((std::uint64_t{first} << 32U) | second) << static_cast<unsigned>(zeros)) >> 32U);
    const int shift = (high != 0 ? 63 : 31) - kBinDigits - zeros;
    code = (shift << kBinDigits) + static_cast<int>(leading >> (31 - kBinDigits));
  }
  return kBinsOfOneSign - 1 + (score < 0 ? code : -code);
}

}  // namespace pinboard::kernels
