// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The second half of a compression round: offload, compact, fill the ring. Runs only once all ranks
// have agreed on the plan.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "pinboard/shard.h"
#include "shard/context.h"
#include "shard/round_plan.h"

namespace pinboard {

/// Applies `plan` to its sequence, whose rows since the snapshot move along untouched, out of
/// `block_table` into `destination_table` (empty: in place; see Shard::RoundEntry). The cache and
/// the sequence's state change; new pages go to the store in one message.
absl::Status ApplyRound(ShardContext& context, SequencePlan& plan,
                        absl::Span<const std::int32_t> block_table,
                        absl::Span<const std::int32_t> destination_table, RoundOutcome* outcome);

}  // namespace pinboard
