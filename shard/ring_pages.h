// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The end of a fetch: agreed by all ranks and shown in a ring, or missed and struck.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
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

/// It counts as shown in its ring slot; returns what is to be scattered there, whose bytes are
/// `agreed`'s. Internal: it left the band.
absl::StatusOr<PageIn> ShowPage(ShardContext& context, SequenceState& state,
                                const BlockTables& tables, const AgreedPage& agreed);

/// What ShowPage will read and write is on its way.
void PrefetchPage(const SequenceState& state, const AgreedPage& agreed);

/// Ends fetches of one layer: `ready` ones, which all ranks hold, take the slots their ring gives
/// them and are appended to `agreed`; `missed` ones, which any rank missed, leave band and digests.
void SettlePages(ShardContext& context, PageFetcher& fetcher, std::uint64_t sequence,
                 SequenceState& state, int layer, absl::Span<const std::uint32_t> ready,
                 absl::Span<const std::uint32_t> missed, std::vector<AgreedPage>* agreed);

/// A layer's ring has been chosen (RecallPlan::TakeIn) by the sequence's step `step`; what is
/// missing goes to `requests`, as far as the step has room for fetches: who wants it, for
/// StartFetches.
void RequestPages(std::uint64_t sequence, SequenceState& state, int layer, std::uint64_t step,
                  int room, std::vector<PageFetcher::Request>* requests);

/// Asks for them, in one message, and leaves none. Their pages are looked up here, one after
/// another with nothing between, so that the memory's answers to many overlap.
void StartFetches(ShardContext& context, PageFetcher& fetcher,
                  std::vector<PageFetcher::Request>* requests);

/// A layer's live pages, to be scored by the queries [n, query_heads, key_dim]; scores [live
/// pages].
PagesToScore LivePages(const ShardContext& context, const LayerState& layer,
                       absl::Span<const float> queries, absl::Span<std::int32_t> scores);

}  // namespace pinboard
