// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The new tokens of one step, of all its sequences, one after another.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace pinboard::engine {

/// One sequence's part of a step. Token i of it goes to physical row resident_rows + i and sees the
/// rows [0, resident_rows + i].
struct BatchEntry {
  int first_token = 0;  // in the step
  int tokens = 0;
  int resident_rows = 0;
  absl::Span<const std::int32_t> block_table;  // covers the new rows
};

struct StepBatch {
  std::vector<BatchEntry> entries;
  std::vector<std::int32_t> tokens;     // [tokens of the step]
  std::vector<std::int32_t> positions;  // likewise

  int size() const { return static_cast<int>(tokens.size()); }
};

}  // namespace pinboard::engine
