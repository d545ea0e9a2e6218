// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How many rows each layer of a sequence keeps in a round.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/round_plan.h"
#include "shard/sequence_state.h"

namespace pinboard {

/// Leading positions that are never evicted: the sinks and, where the policy says so, the prompt.
int ProtectedHead(const SequenceState& state);

/// [layers]. `information` [layers]: merged E, summed over each layer's tokens, which adaptive
/// budgets are shared out by; empty, before it is known: as if all layers had the same.
std::vector<scheduler::RoundPlan> RoundCounts(const SequenceState& state, int block_size,
                                              absl::Span<const std::int64_t> information);

/// Whether any layer loses rows.
bool Compresses(absl::Span<const scheduler::RoundPlan> counts);

}  // namespace pinboard
