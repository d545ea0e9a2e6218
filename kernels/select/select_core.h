// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The total order of selection.
#pragma once

#include <cstdint>

#include "kernels/host_device.h"

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

}  // namespace pinboard::kernels
