// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A live sign of quality: what queries miss, and whether they look at what was recalled.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/context.h"
#include "shard/step_recorder.h"

namespace pinboard {

/// In every ShardOptions::quality_every-th step of a sequence that recalls, adds to the stats what
/// EvictedAttention says of `layer` and the sequence's last query in the step. Call it when the
/// layer's rows are what its attention will see. Local to a rank: exchanges and decides nothing.
absl::Status SampleQuality(ShardContext& context, absl::Span<const StepSlice> slices, int layer);

}  // namespace pinboard
