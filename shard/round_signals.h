// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a round measures before it decides: this rank's A and E, merged over all ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/space_vector.h"
#include "kernels/influence/influence.h"
#include "shard/context.h"
#include "shard/row_order.h"

namespace pinboard {

/// One layer's merged signals.
struct LayerSignals {
  RowOrder order;
  absl::Span<std::int32_t> attention;   // [rows], in that order; [total_kv_heads, rows] where heads
                                        // keep rows apart; empty where none is taken. In the
                                        // operations' memory
  absl::Span<std::int32_t> redundancy;  // likewise
  absl::Span<std::int32_t> information;  // [new tokens]: positions merged_length ... length - 1
  kernels::InformationTotals totals;     // those of the layer, with these added
};

/// [sequences][layers], and the values that they are spans of.
struct MergedSignals {
  explicit MergedSignals(MemorySpace* memory) : values(memory) {}

  std::vector<std::vector<LayerSignals>> sequences;
  SpaceVector<std::int32_t> values;   // A of all layers, R of all, E of all
  std::vector<std::int32_t> on_host;  // the end of these: E, or all where ranks are merged
};

/// A sequence that takes part in the merge.
struct SignalRequest {
  const SequenceState* state = nullptr;
  const BlockTables* block_tables = nullptr;
};

/// [collective where tp > 1] One integer sum for all layers of all sequences: A, R and the new
/// tokens' E, to which only rank (position mod tp) contributes. A
/// rank that cannot score takes part in the sum all the same, and returns its own error after it:
/// the others' sum is then worth nothing, which the vote tells them.
absl::Status MergeSignals(ShardContext& context, absl::Span<const SignalRequest> requests,
                          absl::Time deadline, MergedSignals* merged);

}  // namespace pinboard
