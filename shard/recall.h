// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Recall one step behind, as every rank does it in step: score digests, agree, fetch in the
// background, make visible.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/context.h"
#include "shard/page_fetcher.h"
#include "shard/page_scores.h"
#include "shard/ring_decisions.h"
#include "shard/step_recorder.h"

namespace pinboard {

/// States of a page as seen by one layer's ring: absent -> wanted (in flight) -> ready here ->
/// agreed (ready on ALL ranks) -> resident; or, missed by any rank, struck on all. Layers that
/// recall within the step are RecallWithinStep's, but for what is still under way when it ends. One
/// thread.
class Recall {
 public:
  /// Both outlive this.
  Recall(ShardContext* context, PageFetcher* fetcher)
      : context_(context), fetcher_(fetcher), decisions_(context, fetcher), scores_(context) {}

  using Rings = RingDecisions::Rings;
  /// Before a band, a ring or the set of sequences is changed: nothing that steps have found out is
  /// left to be decided.
  void DecideAll() { decisions_.DecideAll(); }
  /// All that is agreed of these sequences is in their rings.
  absl::Status MakeVisible(absl::Span<const Rings> sequences);
  /// Before a layer's attention in a step: what the last step's findings say of its rings is
  /// decided and shown, of one, one, two, four, eight, eight ... layers at a time, so that a device
  /// works on as many layers meanwhile. Each of these groups takes in the pages that have come for
  /// those before it.
  absl::Status MakeVisibleFor(absl::Span<const StepSlice> slices, int layer);
  /// Opens a step: which of its sequences choose pages in it.
  void BeginStep(absl::Span<const StepSlice> slices);

  /// Takes the drift of a layer's queries, where triggers ask for it.
  absl::Status Observe(absl::Span<const StepSlice> slices, int layer,
                       absl::Span<const float> queries);
  /// [collective: PageScores] When all of the step's queries have been seen: enqueues the scoring
  /// of the digests of all layers by the last of these queries, as many as the window has, for what
  /// comes next resembles these. What has arrived is copied beside the rest of the step.
  absl::Status Score(absl::Span<const StepSlice> slices);
  /// [collective where there was anything to score] Merges the scores, unless their sum has been
  /// enqueued, and takes down how the fetches stand. Waits for the scores, and not for what was
  /// enqueued after them, unless it acts upon an enqueued sum at once; where the options say so,
  /// also for the fetches that the scores ask for.
  absl::Status Exchange(absl::Span<const StepSlice> slices);

  /// Of the last Exchange: this rank's share of the cosines that triggers ask for; and one byte per
  /// fetch under way of the step's sequences: bit 0 ready here, bit 1 missed here. The same length
  /// on every rank; no fetch of a sequence in a round, whose ring stands still.
  const std::vector<std::uint8_t>& report() const { return report_; }
  /// reports [tp, bytes of report()]: from here on every rank can decide alike. entropy_after
  /// [tokens of the step].
  void Resolve(absl::Span<const StepSlice> slices, absl::Span<const std::uint8_t> reports,
               absl::Span<const float> entropy_after);

  /// `to`, whose state is a copy of `from`'s, gets what `from` is about to: agreed pages, and those
  /// under way, which are fetched anew.
  void Fork(std::uint64_t from, std::uint64_t to, const SequenceState& state);
  /// Ends what concerns a sequence.
  void Forget(std::uint64_t sequence);

 private:
  /// Of one sequence, where its trigger is drift: [layers][query_heads].
  using Drift = std::vector<std::vector<float>>;
  /// Whether what a step finds out is acted upon before it ends.
  bool DecidesAtOnce(absl::Span<const StepSlice> slices) const;
  absl::Status AwaitScores();
  absl::Status AwaitPages();
  void ReportDrift(absl::Span<const StepSlice> slices);
  void ReportFetches(absl::Span<const StepSlice> slices);
  absl::Status TakeDrift(const StepSlice& slice, int layer, absl::Span<const float> query,
                         Drift* drift) const;

  ShardContext* context_;
  PageFetcher* fetcher_;
  RingDecisions decisions_;
  PageScores scores_;
  std::vector<Drift> drifts_;  // [slices]
  std::vector<std::uint8_t> report_;
};

}  // namespace pinboard
