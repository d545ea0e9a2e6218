// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Recall as every rank does it in step: score digests, agree, fetch in the background, make
// visible.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/context.h"
#include "shard/page_fetcher.h"
#include "shard/step_recorder.h"

namespace pinboard {

/// States of a page as seen by one layer's ring: absent -> wanted (in flight) -> ready here ->
/// agreed (ready on ALL ranks) -> resident; or, missed by any rank, struck on all. One thread.
class Recall {
 public:
  explicit Recall(ShardContext* context) : context_(context), fetcher_(context->store) {}

  /// Scatters the agreed replacements of a sequence into its ring.
  absl::Status MakeVisible(std::uint64_t sequence, SequenceState& state, const BlockTables& tables);
  /// Opens a step; nothing of it is scored yet.
  void BeginStep(std::size_t slices) { by_slice_.assign(slices, {}); }

  /// Scores the digests of one layer with the step's queries.
  absl::Status Score(absl::Span<const StepSlice> slices, int layer,
                     absl::Span<const float> queries);
  /// [collective where there is anything to score] Merges the scores; starts the fetches they ask
  /// for.
  absl::Status Exchange(absl::Span<const StepSlice> slices);

  /// One byte per fetch under way of these sequences: bit 0 ready here, bit 1 missed here. The same
  /// length on every rank; none of a sequence in a round, whose ring stands still. Where the
  /// options say so, waits for the fetches first.
  std::vector<std::uint8_t> Report(absl::Span<const StepSlice> slices);
  /// reports [tp, bytes of Report]: decides for every rank alike.
  void Resolve(absl::Span<const StepSlice> slices, absl::Span<const std::uint8_t> reports);

  /// `to`, whose state is a copy of `from`'s, gets what `from` is about to: agreed pages, and those
  /// under way, which are fetched anew.
  void Fork(std::uint64_t from, std::uint64_t to, const SequenceState& state);
  /// Ends what concerns a sequence.
  void Forget(std::uint64_t sequence);

 private:
  struct Agreed {
    std::uint64_t sequence = 0;
    int layer = 0;
    scheduler::Replacement replacement;
    PageFetcher::Taken fetched;
  };
  absl::Status Scatter(SequenceState& state, const BlockTables& tables, const Agreed& agreed);
  void ResolveLayer(const StepSlice& slice, int layer, absl::Span<const std::uint32_t> ready,
                    absl::Span<const std::uint32_t> missed);

  ShardContext* context_;
  PageFetcher fetcher_;
  std::vector<std::int32_t> scores_;  // this step's, in slice, layer, page order
  std::vector<std::vector<std::vector<std::int32_t>>> by_slice_;  // [slice][layer][page]
  std::vector<Agreed> agreed_;
};

}  // namespace pinboard
