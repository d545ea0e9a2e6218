// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Figures that differ from rank to rank, brought together.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "transport/collective/communicator.h"

namespace pinboard::app {

/// One rank's figures, or what is made of them: sums over the ranks, but `waits`, the most of any.
struct RankTotals {
  std::int64_t resident_kv_bytes = 0;
  std::int64_t digest_bytes = 0;
  std::int64_t workspace_bytes = 0;
  std::int64_t pages_offloaded = 0;
  std::int64_t bytes_offloaded = 0;
  std::int64_t bytes_recalled = 0;
  std::int64_t waits = 0;
  std::int64_t quality_samples = 0;
  std::int64_t ring_rows_sampled = 0;
  std::int64_t ring_rows_attended = 0;
  double evicted_attention = 0.0;
};

/// [collective] The same on every rank. Errors: the communicator's.
absl::StatusOr<RankTotals> GatherTotals(transport::Communicator& communicator,
                                        const RankTotals& own, absl::Time deadline);

}  // namespace pinboard::app
