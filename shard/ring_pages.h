// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The end of a fetch: agreed by all ranks and shown in a ring, or missed and struck.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/context.h"
#include "shard/page_fetcher.h"

namespace pinboard {

/// A page that all ranks hold, and the slot it takes.
struct AgreedPage {
  std::uint64_t sequence = 0;
  int layer = 0;
  scheduler::Replacement replacement;
  PageFetcher::Taken fetched;
};

/// Scatters it into its ring slot. Internal: it left the band.
absl::Status ShowPage(ShardContext& context, SequenceState& state, const BlockTables& tables,
                      const AgreedPage& agreed);

/// Ends fetches of one layer: `ready` ones, which all ranks hold, take the slots their ring gives
/// them; `missed` ones, which any rank missed, leave band and digests.
std::vector<AgreedPage> SettlePages(ShardContext& context, PageFetcher& fetcher,
                                    std::uint64_t sequence, SequenceState& state, int layer,
                                    absl::Span<const std::uint32_t> ready,
                                    absl::Span<const std::uint32_t> missed);

/// Merged scores of a layer's live pages choose its ring; what is missing goes to `requests`, as
/// far as the step has room for fetches.
void ChoosePages(std::uint64_t sequence, SequenceState& state, int layer,
                 absl::Span<const std::int32_t> merged, int room,
                 std::vector<PageFetcher::Request>* requests);

/// This rank's share of the page scores of a layer, by the last of the queries [tokens,
/// query_heads, key_dim] of one sequence, as many as its window has: what comes next resembles
/// these. There when the operations are finished.
absl::Status ScoreLayer(const ShardContext& context, const SequenceState& state, int layer,
                        int tokens, absl::Span<const float> queries,
                        std::vector<std::int32_t>* scores);

}  // namespace pinboard
