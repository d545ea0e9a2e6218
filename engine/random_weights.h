// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Weights of no model: drawn from a seed, for tests of load.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/dtype.h"
#include "base/host_device.h"

namespace pinboard::engine {

inline constexpr float kRandomWeightDeviation = 0.02F;  // initializer_range of most models

/// What the values of a tensor are drawn from: its name and the seed (FNV-1a).
inline std::uint64_t RandomStream(std::uint64_t seed, std::string_view name) {
  std::uint64_t hash = 14695981039346656037U ^ seed;
  for (const char character : name) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 1099511628211U;
  }
  return hash;
}

/// Value `index` of a tensor, nearly normal: the sum of four uniform numbers, of which one 64-bit
/// hash (SplitMix64) is made. Rounded to bf16, and the same bits on host and device: the sum is an
/// integer.
PB_HOST_DEVICE inline std::uint16_t RandomWeight(std::uint64_t stream, std::int64_t index) {
  std::uint64_t bits = stream + 0x9e3779b97f4a7c15U * (static_cast<std::uint64_t>(index) + 1);
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebU;
  bits ^= bits >> 31;
  const auto sum = static_cast<std::int32_t>((bits & 0xffffU) + (bits >> 16 & 0xffffU) +
                                             (bits >> 32 & 0xffffU) + (bits >> 48));
  constexpr std::int32_t kMean = 2 * 65535;
  constexpr float kDeviation = 37837.2F;  // 65536 / sqrt(3)
  return FloatToBFloat16(static_cast<float>(sum - kMean) * (kRandomWeightDeviation / kDeviation));
}

/// Norms are ones, biases zeros.
inline float RandomVectorValue(std::string_view name) {
  return name.find("norm") == std::string_view::npos ? 0.0F : 1.0F;
}

}  // namespace pinboard::engine
