// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How the ranks decide together whether a round is applied.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "shard/context.h"

namespace pinboard {

/// The same on every rank.
struct Verdict {
  bool all_ready = true;
  bool plans_equal = true;  // where all are ready
};

/// [collective where tp > 1: one integer sum] `ready`: this rank has prepared all of the round;
/// `plan_hash` then covers the round's number and all that it decided. At most 511 ranks.
/// Unavailable: a rank is lost.
absl::StatusOr<Verdict> VoteOnRound(const ShardContext& context, bool ready,
                                    std::uint64_t plan_hash);

}  // namespace pinboard
