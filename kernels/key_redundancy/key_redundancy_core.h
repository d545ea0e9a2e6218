// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The arithmetic of R, and its error.
//
// Float error. A cosine is a sum of key_dim products of values in [-1, 1] in float: it is off by at
// most (key_dim + 3) * 2^-24. A row whose cosine is that close to 1/2 may count as similar or not.
// Means and softmax are in double.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/fixed_point.h"
#include "base/host_device.h"

namespace pinboard::kernels {

inline constexpr float kSimilarCosine = 0.5F;

/// What scales a key to length 1; 0 for a key of zeros.
PB_HOST_DEVICE inline double InverseLength(double squared_length) {
  return squared_length > 0.0 ? 1.0 / std::sqrt(squared_length) : 0.0;
}

/// The rank's share of R, from the sum of its heads' softmax.
PB_HOST_DEVICE inline std::int32_t RedundancyShare(double softmax, int total_kv_heads) {
  return ToFixed32(softmax / total_kv_heads, kAttentionFractionBits);
}

}  // namespace pinboard::kernels
