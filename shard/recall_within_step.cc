// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/recall_within_step.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/status_macros.h"

namespace pinboard {
namespace {

bool RecallsNow(const StepSlice& slice, int layer) {
  return slice.state->chooses && !slice.state->in_round && slice.state->recalls_within_step(layer);
}

}  // namespace

std::vector<int> RecallWithinStep::LayersToForesee(absl::Span<const StepSlice> slices,
                                                   int layer) const {
  std::vector<int> layers;
  for (const StepSlice& slice : slices) {
    const int later = layer + slice.state->recall_ahead;
    if (later > layer && later < context_->options.model.layers && RecallsNow(slice, later)) {
      layers.push_back(later);
    }
  }
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

absl::Status RecallWithinStep::Score(absl::Span<const StepSlice> slices, int layer, int later_layer,
                                     absl::Span<const float> queries) {
  const ShardModel& model = context_->options.model;
  const std::size_t width = static_cast<std::size_t>(model.query_heads) * model.kv.key_dim;
  const std::size_t before = scored_.size();
  std::size_t pages = 0;
  for (const StepSlice& slice : slices) {
    if (slice.state->recall_ahead != later_layer - layer || !RecallsNow(slice, later_layer)) {
      continue;
    }
    const std::size_t own = slice.state->layers[later_layer].digests.size();
    scored_.push_back({&slice, later_layer, std::vector<std::int32_t>(own)});
    pages += own;
  }
  scores_.Truncate(0);
  PB_ASSIGN_OR_RETURN(const absl::Span<std::int32_t> scores, scores_.Resize(pages));
  const auto added = absl::MakeSpan(scored_).subspan(before);
  std::vector<PagesToScore> layers;
  auto left = scores;
  for (const Scored& one : added) {
    const StepSlice& slice = *one.slice;
    const auto own = queries.subspan(slice.first_token * width, slice.entry.tokens * width);
    const int last = std::min(slice.entry.tokens, slice.state->policy.window);
    layers.push_back(LivePages(*context_, slice.state->layers[later_layer], own.last(last * width),
                               left.first(one.scores.size())));
    left.remove_prefix(one.scores.size());
  }
  PB_RETURN_IF_ERROR(context_->operations->ScorePages(layers));
  for (std::size_t i = 0; i < added.size(); ++i) {
    PB_RETURN_IF_ERROR(context_->operations->Read(AsBytes(layers[i].out),
                                                  AsBytes(absl::MakeSpan(added[i].scores))));
  }
  return absl::OkStatus();
}

absl::Status RecallWithinStep::Sum(std::vector<std::int32_t>* values) {
  if (values->empty() || context_->tp() == 1) return absl::OkStatus();
  return AsLostRank(
      context_->communicator->SumInt32(absl::MakeSpan(*values), context_->RankDeadline()));
}

absl::Status RecallWithinStep::Recall(absl::Span<const StepSlice> slices, int layer) {
  const auto looks = [&](const StepSlice& slice, bool ahead) {
    return RecallsNow(slice, layer) && (slice.state->recall_ahead > 0) == ahead;
  };
  const auto any = [&](bool ahead) {
    return std::any_of(slices.begin(), slices.end(),
                       [&](const StepSlice& slice) { return looks(slice, ahead); });
  };
  if (scored_.empty() && !any(true) && !any(false)) return absl::OkStatus();
  if (any(true) && context_->options.wait_for_pages) {
    PB_RETURN_IF_ERROR(fetcher_->Wait(context_->FetchDeadline()).status());
  }
  if (!scored_.empty()) {
    PB_RETURN_IF_ERROR(context_->AwaitLaunched());
    PB_RETURN_IF_ERROR(context_->operations->Finish());
  }
  std::vector<std::int32_t> sum;
  PB_RETURN_IF_ERROR(fetcher_->Poll());
  for (const StepSlice& slice : slices) {
    if (looks(slice, true)) AppendHeld(slice, layer, &sum);
  }
  for (const Scored& one : scored_) sum.insert(sum.end(), one.scores.begin(), one.scores.end());
  PB_RETURN_IF_ERROR(Sum(&sum));
  auto merged = absl::MakeConstSpan(sum);
  ToShow shown;
  for (const StepSlice& slice : slices) {
    if (looks(slice, true)) PB_RETURN_IF_ERROR(Settle(slice, layer, &merged, &shown));
  }
  Choose(&merged);
  if (!any(false)) return context_->operations->ScatterPages(shown.pages);

  PB_RETURN_IF_ERROR(fetcher_->Wait(context_->FetchDeadline()).status());
  sum.clear();
  for (const StepSlice& slice : slices) {
    if (looks(slice, false)) AppendHeld(slice, layer, &sum);
  }
  PB_RETURN_IF_ERROR(Sum(&sum));
  merged = absl::MakeConstSpan(sum);
  for (const StepSlice& slice : slices) {
    if (looks(slice, false)) PB_RETURN_IF_ERROR(Settle(slice, layer, &merged, &shown));
  }
  return context_->operations->ScatterPages(shown.pages);
}

void RecallWithinStep::AppendHeld(const StepSlice& slice, int layer,
                                  std::vector<std::int32_t>* sum) const {
  for (const auto state : fetcher_->StatesOf(slice.entry.sequence, layer,
                                             slice.state->layers[layer].recall.in_flight())) {
    sum->push_back(state == PageFetcher::State::kReady ? 1 : 0);
  }
}

absl::Status RecallWithinStep::Settle(const StepSlice& slice, int layer,
                                      absl::Span<const std::int32_t>* merged, ToShow* shown) {
  std::vector<std::uint32_t> ready;
  const scheduler::PageList& in_flight = slice.state->layers[layer].recall.in_flight();
  for (std::size_t i = 0; i < in_flight.size(); ++i) {
    if ((*merged)[i] == context_->tp()) ready.push_back(in_flight[i]);
  }
  merged->remove_prefix(in_flight.size());
  const std::size_t before = shown->agreed.size();
  SettlePages(*context_, *fetcher_, slice.entry.sequence, *slice.state, layer, ready, {},
              &shown->agreed);
  for (std::size_t i = before; i < shown->agreed.size(); ++i) {
    PB_ASSIGN_OR_RETURN(
        shown->pages.emplace_back(),
        ShowPage(*context_, *slice.state, slice.entry.block_tables, shown->agreed[i]));
  }
  return absl::OkStatus();
}

void RecallWithinStep::Choose(absl::Span<const std::int32_t>* merged) {
  std::vector<PageFetcher::Request> requests;
  for (const Scored& one : scored_) {
    SequenceState& state = *one.slice->state;
    state.layers[one.layer].recall.TakeIn(merged->first(one.scores.size()),
                                          scheduler::Smoothing::kNone);
    merged->remove_prefix(one.scores.size());
    RequestPages(one.slice->entry.sequence, state, one.layer, state.steps,
                 fetcher_->room() - static_cast<int>(requests.size()), &requests);
  }
  scored_.clear();
  StartFetches(*context_, *fetcher_, &requests);
}

}  // namespace pinboard
