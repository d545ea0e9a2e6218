// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A sequence's state, from what a caller asked for: new, or gone on from another.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "pinboard/shard.h"
#include "shard/context.h"
#include "shard/sequence_state.h"

namespace pinboard {

/// Empty and with no generation. InvalidArgument: an option that is unknown, out of its range or at
/// odds with another. FailedPrecondition: the policy needs what the shard was not given.
absl::StatusOr<SequenceState> MakeSequence(const ShardContext& context,
                                           const SequenceOptions& options);

/// Goes on from the first `tokens` tokens of `origin`, which is sequence `from`, as `options`
/// ask from there on; in no round, with no page published and no generation. Besides the errors of
/// MakeSequence and Prefix, FailedPrecondition: the policy cannot go on from rows as the origin's
/// rounds left them.
absl::StatusOr<SequenceState> MakeFork(const ShardContext& context, std::uint64_t from,
                                       const SequenceState& origin, int tokens,
                                       const SequenceOptions& options);

}  // namespace pinboard
