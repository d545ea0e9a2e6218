// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The end of a compression round: compact, fill the ring, publish. Runs only once all ranks have
// prepared the same plan.
#pragma once

#include "absl/status/status.h"
#include "pinboard/shard.h"
#include "shard/context.h"
#include "shard/round_plan.h"
#include "shard/round_prepare.h"

namespace pinboard {

/// Applies `plan` to its sequence, whose rows since the snapshot move along untouched. The cache
/// and the sequence's state change; new pages go to the store in one message. What could fail was
/// tried in `prepared`: an error here is a fault of this rank (memory that changed, a census that
/// does not agree), which cannot go on.
absl::Status ApplyRound(ShardContext& context, const SequencePlan& plan, PreparedSequence prepared,
                        const BlockTables& tables, RoundOutcome* outcome);

}  // namespace pinboard
