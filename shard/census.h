// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The reachability census, of what a compaction must leave true: no row is lost, none attended
// twice, no block in two places. (Others freed blocks in which rows still lived: no error, wrong
// answers.)
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "pinboard/shard.h"
#include "shard/operations/operations.h"
#include "shard/sequence_state.h"

namespace pinboard {

/// One hash per physical row of a layer, over the row's key and value bytes. Finishes the
/// operations.
absl::StatusOr<std::vector<std::uint64_t>> HashRows(Operations& operations, const ShardModel& model,
                                                    int layer,
                                                    absl::Span<const std::int32_t> block_table,
                                                    absl::Span<const std::int32_t> rows);

/// Internal, naming the first violation: every physical row has one position, below the length;
/// none is attended twice, the ring's included; rows behind the ring ascend by position; every row
/// is reachable through its layer's block table, and no block is used twice.
absl::Status CheckSequence(const ShardModel& model, const SequenceState& state,
                           const BlockTables& tables);

}  // namespace pinboard
