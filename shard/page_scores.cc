// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/page_scores.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "shard/ring_pages.h"

namespace pinboard {

void PageScores::ForEachScored(
    absl::Span<const StepSlice> slices,
    absl::FunctionRef<void(const StepSlice&, LayerState&, std::size_t)> visit) const {
  const int layers = context_->options.model.layers;
  for (std::size_t s = 0; s < slices.size(); ++s) {
    if (!slices[s].state->chooses) continue;
    for (int l = 0; l < layers; ++l) {
      if (slices[s].state->recalls_within_step(l)) continue;
      visit(slices[s], slices[s].state->layers[l], s * layers + l);
    }
  }
}

absl::StatusOr<bool> PageScores::Enqueue(absl::Span<const StepSlice> slices,
                                         StepFindings* findings) {
  std::size_t count = 0;
  ForEachScored(slices, [&](const StepSlice&, LayerState& layer, std::size_t ring) {
    findings->rings[ring].first_score = count;
    findings->rings[ring].scores = layer.digests.size();
    count += layer.digests.size();
  });
  findings->scores.resize(count);
  scores_.Truncate(0);
  PB_ASSIGN_OR_RETURN(const absl::Span<std::int32_t> scores, scores_.Resize(count));
  to_score_.clear();
  to_score_.reserve(findings->rings.size());
  ForEachScored(slices, [&](const StepSlice& slice, LayerState& layer, std::size_t ring) {
    const StepFindings::Ring& its = findings->rings[ring];
    const int last = std::min(slice.entry.tokens, slice.state->policy.window);
    to_score_.push_back(LivePages(*context_, layer, layer.queries.Last(last),
                                  scores.subspan(its.first_score, its.scores)));
  });
  if (count == 0) return false;
  PB_RETURN_IF_ERROR(context_->operations->ScorePages(to_score_));
  if (on_device() != nullptr) {
    PB_RETURN_IF_ERROR(AsLostRank(
        on_device()->LaunchSumInt32(scores, context_->stream(), context_->RankDeadline())));
  }
  PB_RETURN_IF_ERROR(
      context_->operations->Read(AsBytes(scores), AsBytes(absl::MakeSpan(findings->scores))));
  return true;
}

absl::Status PageScores::Merge(StepFindings* findings) const {
  if (findings->scores.empty() || context_->tp() == 1 || on_device() != nullptr) {
    return absl::OkStatus();
  }
  return AsLostRank(
      context_->communicator->SumInt32(absl::MakeSpan(findings->scores), context_->RankDeadline()));
}

}  // namespace pinboard
