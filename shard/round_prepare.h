// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// All of a round that can fail, done before the ranks vote (docs/adr/0012). Changes nothing that is
// attended: new pages are gathered into memory of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cache_service/page_store.h"
#include "shard/block_tables.h"
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

/// Layers of one sequence.
using PreparedSequence = std::vector<PreparedLayer>;

/// Takes the leases of `plan`, which is compressed. `tables` are the present ones.
/// InvalidArgument: a key that is not finite, or rows outside a table.
absl::StatusOr<PreparedSequence> PrepareSequence(ShardContext& context, SequencePlan& plan,
                                                 const RoundTables& tables);

}  // namespace pinboard
