// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/eval/rank_totals.h"

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "base/status_macros.h"

namespace pinboard::app {

absl::StatusOr<RankTotals> GatherTotals(transport::Communicator& communicator,
                                        const RankTotals& own, absl::Time deadline) {
  static_assert(std::is_trivially_copyable_v<RankTotals>);
  std::vector<RankTotals> ranks(communicator.size());
  PB_RETURN_IF_ERROR(communicator.AllGather(
      {reinterpret_cast<const std::byte*>(&own), sizeof(own)},
      {reinterpret_cast<std::byte*>(ranks.data()), ranks.size() * sizeof(RankTotals)}, deadline));
  RankTotals all;
  for (const RankTotals& rank : ranks) {
    all.resident_kv_bytes += rank.resident_kv_bytes;
    all.digest_bytes += rank.digest_bytes;
    all.workspace_bytes += rank.workspace_bytes;
    all.pages_offloaded += rank.pages_offloaded;
    all.bytes_offloaded += rank.bytes_offloaded;
    all.bytes_recalled += rank.bytes_recalled;
    all.quality_samples += rank.quality_samples;
    all.ring_rows_sampled += rank.ring_rows_sampled;
    all.ring_rows_attended += rank.ring_rows_attended;
    all.evicted_attention += rank.evicted_attention;
    all.waits = std::max(all.waits, rank.waits);
  }
  return all;
}

}  // namespace pinboard::app
