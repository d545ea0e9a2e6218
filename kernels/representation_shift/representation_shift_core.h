// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// D of one token from its three inner products.
#pragma once

#include <cmath>

#include "base/host_device.h"

namespace pinboard::kernels {

/// 1 - dot / sqrt(squares), kept within [0, 2] against rounding; 1 where a vector is zero.
PB_HOST_DEVICE inline float ShiftOf(double dot, double hidden_square, double final_square) {
  const double squares = hidden_square * final_square;
  if (!(squares > 0.0)) return 1.0F;
  const double shift = 1.0 - dot / std::sqrt(squares);
  return static_cast<float>(shift < 0.0 ? 0.0 : shift > 2.0 ? 2.0 : shift);
}

}  // namespace pinboard::kernels
