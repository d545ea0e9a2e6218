// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A live sign of quality: what queries miss, and whether they look at what was recalled.
#pragma once

#include <deque>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "kernels/evicted_attention/evicted_attention.h"
#include "shard/context.h"
#include "shard/step_recorder.h"

namespace pinboard {

/// In every ShardOptions::quality_every-th step of a sequence that recalls, what EvictedAttention
/// says of each layer and the sequence's last query in the step. Local to a rank: exchanges and
/// decides nothing. One thread.
class QualitySignal {
 public:
  /// `context` outlives this.
  explicit QualitySignal(ShardContext* context) : context_(context) {}

  /// Call it when the layer's rows are what its attention will see.
  absl::Status Sample(absl::Span<const StepSlice> slices, int layer);
  /// Adds the samples to the stats; the operations are finished.
  void Collect();

 private:
  struct Pending {
    int ring_rows = 0;
    kernels::EvictedAttentionResult result;
  };
  ShardContext* context_;
  std::deque<Pending> pending_;  // results are written where they lie
};

}  // namespace pinboard
