// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The new tokens of one step, of all its sequences, one after another.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace pinboard::engine {

/// Where the rows of a sequence lie in a layer.
struct BatchTable {
  int resident_rows = 0;
  absl::Span<const std::int32_t> blocks;  // covers the new rows
};

/// One sequence's part of a step. In each layer its token i goes to physical row resident_rows + i
/// and sees the rows [0, resident_rows + i].
struct BatchEntry {
  int first_token = 0;  // in the step
  int tokens = 0;
  std::vector<BatchTable> tables;  // one for all layers, or one for each

  const BatchTable& table(int layer) const {
    return tables.size() == 1 ? tables.front() : tables[layer];
  }
};

struct StepBatch {
  std::vector<BatchEntry> entries;
  std::vector<std::int32_t> tokens;     // [tokens of the step]
  std::vector<std::int32_t> positions;  // likewise

  int size() const { return static_cast<int>(tokens.size()); }
};

}  // namespace pinboard::engine
