// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A plan as others may read it: by position.
#pragma once

#include <vector>

#include "pinboard/shard.h"
#include "shard/round_plan.h"
#include "shard/sequence_state.h"

namespace pinboard {

/// [layers]. `state` is that of the snapshot: before the plan is applied.
std::vector<PlannedLayer> ExportPlan(const SequenceState& state, const SequencePlan& plan);

}  // namespace pinboard
