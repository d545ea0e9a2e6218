// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// All of a round that can fail, done before the ranks vote (docs/adr/0012). Changes nothing that is
// attended: new pages are gathered into memory of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "cache_service/page_store.h"
#include "pinboard/shard.h"
#include "shard/context.h"
#include "shard/round_plan.h"

namespace pinboard {

/// A new page in hand.
struct SealedPage {
  cache_service::PageHeader header;
  cache_service::PageLease lease;  // the service's memory; empty: this rank does not offload it
  std::int32_t digest_slot = 0;    // a free one of the layer's digests
  /// Of a page that goes to the ring: a copy in the operations' memory, which nobody else can
  /// write. Else null.
  std::shared_ptr<std::byte> own;
};

/// One layer of a sequence that is compressed.
struct PreparedLayer {
  std::vector<SealedPage> pages;    // as LayerPlan::band.publish
  std::vector<std::int32_t> moved;  // physical rows: the kept ones, then those since the snapshot
};

/// Layers of one sequence; none: it is not compressed, or only observed.
using PreparedSequence = std::vector<PreparedLayer>;

/// [round.sequences]. Takes the leases of `round`, whose `entries` come with their present tables.
/// InvalidArgument: a key that is not finite, or rows outside a table.
absl::StatusOr<std::vector<PreparedSequence>> PrepareRound(
    ShardContext& context, RoundInProgress& round, std::span<const Shard::RoundEntry> entries);

}  // namespace pinboard
