// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The hash behind random scores and page tags.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace pinboard::kernels {

inline constexpr std::uint64_t kSplitMixIncrement = 0x9e3779b97f4a7c15U;

/// The output function of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64 bits.
PB_HOST_DEVICE inline std::uint64_t SplitMixFinish(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

/// The first output of SplitMix64 seeded with x; SplitMix64(0) = 0xe220a8397b1dcdaf.
PB_HOST_DEVICE inline std::uint64_t SplitMix64(std::uint64_t x) {
  return SplitMixFinish(x + kSplitMixIncrement);
}

}  // namespace pinboard::kernels
