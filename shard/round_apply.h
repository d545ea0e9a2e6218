// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The end of a compression round: compact, fill the ring, publish. Runs only once all ranks have
// prepared the same plan.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/context.h"
#include "shard/sequence_apply.h"

namespace pinboard {

/// Applies their plans to the sequences, whose rows since the snapshot move along untouched, out of
/// `tables.source` into `tables.destination` (Shard::RoundEntry). The cache and the sequences'
/// states change; new pages go to the store in one message, those that leave in another. What could
/// fail was tried when it was prepared: an error here is a fault of this rank (memory that changed,
/// a census that does not agree), which cannot go on.
absl::Status ApplyRound(ShardContext& context, absl::Span<AgreedSequence> sequences);

}  // namespace pinboard
