// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What an agreed round does to one of its sequences.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cache_service/page_store.h"
#include "kernels/compact/compact.h"
#include "pinboard/shard.h"
#include "shard/block_tables.h"
#include "shard/context.h"
#include "shard/round_plan.h"
#include "shard/round_prepare.h"

namespace pinboard {

/// A sequence whose plan all ranks have agreed on.
struct AgreedSequence {
  const SequencePlan* plan = nullptr;
  PreparedSequence prepared;
  RoundTables tables;
  RoundOutcome* outcome = nullptr;
};

/// What a round tells the store, of all sequences: one message each.
struct StoreRequests {
  std::vector<cache_service::PageRef> dropped;
  std::vector<cache_service::PageHeader> headers;  // of `published`
  std::vector<cache_service::PageLease> published;
};

/// MoveRows, ApplyLayer of each layer, FillRings, Finish of the operations, End; all that it is
/// given outlives this.
class SequenceApplier {
 public:
  SequenceApplier(ShardContext* context, AgreedSequence* agreed, StoreRequests* requests);

  int layers() const { return static_cast<int>(plan_.layers.size()); }
  /// Of all layers.
  std::size_t rows() const;
  /// Rings grow, rows move.
  absl::Status MoveRows();
  /// What is known of a layer moves with its rows; new pages join its band and its ring, others
  /// leave. Of that layer alone: several threads may work on one each.
  void ApplyLayer(int l);
  /// Rings are filled, pages dropped and published.
  absl::Status FillRings();
  /// Once that has been done.
  absl::Status End();

 private:
  absl::Status MoveLayer(int l);
  void MoveStates(int l, absl::Span<const std::int32_t> moved);
  absl::Status CheckMoved(int l, absl::Span<const std::uint64_t> before) const;
  void PlaceInRing(int l, absl::Span<const SealedPage> sealed);
  void FillRing(int l);
  void DropPages(int l);
  void RemovePage(int l, std::uint32_t page);
  void PublishPages(absl::Span<SealedPage> pages);
  int pending() const { return plan_.length - state_.merged_length; }
  absl::Span<const std::int32_t> Source(int l) const { return TableOf(agreed_.tables.source, l); }
  absl::Span<const std::int32_t> Destination(int l) const {
    return TableOf(agreed_.tables.destination, l);
  }

  ShardContext& context_;
  AgreedSequence& agreed_;
  const SequencePlan& plan_;
  SequenceState& state_;
  StoreRequests& requests_;
  std::vector<std::vector<cache_service::PageRef>> dropped_;  // [layers]
  // Of all layers, for one call each.
  std::vector<kernels::CompactArgs> moves_;
  std::vector<PageIn> fills_;
  std::vector<int> old_ring_rows_;                  // [layers]
  std::vector<std::vector<std::uint64_t>> hashes_;  // [layers] of the rows that move, for a census
};

}  // namespace pinboard
