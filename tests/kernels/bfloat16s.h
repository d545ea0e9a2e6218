// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Floats that bf16 holds exactly, as bf16.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/dtype.h"

namespace pinboard::kernels {

inline bool AreBFloat16s(absl::Span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) {
    return value != value || value == BFloat16ToFloat(FloatToBFloat16(value));
  });
}

inline std::vector<std::uint16_t> ToBFloat16s(absl::Span<const float> values) {
  std::vector<std::uint16_t> bits(values.size());
  std::transform(values.begin(), values.end(), bits.begin(), FloatToBFloat16);
  return bits;
}

}  // namespace pinboard::kernels
