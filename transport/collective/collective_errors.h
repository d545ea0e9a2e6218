// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a collective says when it cannot complete: the same words from every communicator.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "transport/collective/collective_kind.h"

namespace pinboard::transport {

/// Unavailable: "ranks 1 and 2 are lost in collective 41: reason".
absl::Status LostError(const RankList& lost, std::uint64_t number, const std::string& reason);

/// DeadlineExceeded: "rank 2 has not joined collective 41 in 500 ms".
absl::Status LateError(const RankList& missing, std::uint64_t number, absl::Duration waited);

/// FailedPrecondition: "collective 41: rank 2 issued a float sum of 8 bytes, rank 0 an ...".
absl::Status MismatchError(std::uint64_t number, int other, const CollectiveShape& others, int rank,
                           const CollectiveShape& mine);

/// FailedPrecondition: what a device group that has been given up answers until it is formed anew.
absl::Status GivenUpError();

/// InvalidArgument unless `received_bytes` holds `send_bytes` of each rank.
absl::Status CheckGatherSize(std::size_t send_bytes, int size, std::size_t received_bytes);

}  // namespace pinboard::transport
