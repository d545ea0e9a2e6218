// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_plan.h"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/fixed_point.h"
#include "base/status_macros.h"
#include "kernels/page_transfer/page_transfer.h"
#include "kernels/select/select.h"
#include "shard/round_signals.h"

namespace pinboard {
namespace {

int ProtectedRows(const SequenceState& state) {
  const int first =
      std::max(state.policy.method.sinks, state.policy.protect_prompt ? state.prompt_tokens : 0);
  return std::min(state.length, first + state.policy.method.window);
}

std::vector<std::uint8_t> ProtectedMask(const SequenceState& state, const LayerState& layer) {
  const int first =
      std::max(state.policy.method.sinks, state.policy.protect_prompt ? state.prompt_tokens : 0);
  const int recent = state.length - state.policy.method.window;
  std::vector<std::uint8_t> mask(state.rows - state.ring_rows);
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const int position = layer.positions[state.ring_rows + i];
    mask[i] = position < first || position >= recent ? 1 : 0;
  }
  return mask;
}

/// A band score as the int32 that pages are ranked by; for rule kInformation this is E itself.
std::int32_t BandValue(std::int64_t score) {
  constexpr int kShift = kScoreFractionBits - kInformationFractionBits;
  return static_cast<std::int32_t>(
      std::min<std::int64_t>(score >> kShift, std::numeric_limits<std::int32_t>::max()));
}

std::vector<scheduler::BandPage> ExistingPages(const LayerState& layer) {
  std::vector<scheduler::BandPage> pages;
  const auto& ring = layer.recall.ring();
  const auto& in_flight = layer.recall.in_flight();
  for (const std::uint32_t page : layer.recall.pages()) {
    const bool pinned = std::find(ring.begin(), ring.end(), page) != ring.end() ||
                        std::binary_search(in_flight.begin(), in_flight.end(), page);
    pages.push_back({page, layer.pages.at(page).mean_information, pinned});
  }
  return pages;
}

/// The ring's first pages: the band's most informative ones, ties to the earlier page.
std::vector<std::size_t> RingFill(const scheduler::BandPlan& band, int ring_pages) {
  std::vector<std::size_t> order(band.publish.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return band.publish[a].mean_information > band.publish[b].mean_information;
  });
  order.resize(std::min(order.size(), static_cast<std::size_t>(ring_pages)));
  std::sort(order.begin(), order.end());
  return order;
}

absl::Status PlanLayer(const SequenceState& state, int l, const scheduler::RoundPlan& counts,
                       const LayerSignals& signals, LayerPlan* plan) {
  const LayerState& layer = state.layers[l];
  plan->totals = layer.totals;
  plan->totals.Add(signals.information);
  plan->information = layer.information;
  std::copy(signals.information.begin(), signals.information.end(),
            plan->information.end() - static_cast<std::ptrdiff_t>(signals.information.size()));

  const int scored = state.rows - state.ring_rows;
  kernels::FuseArgs fuse{state.policy.keep,
                         state.policy.method.alpha,
                         state.policy.method.seed,
                         l,
                         signals.attention,
                         absl::MakeConstSpan(plan->information).subspan(state.ring_rows),
                         absl::MakeConstSpan(layer.positions).subspan(state.ring_rows),
                         plan->totals};
  std::vector<std::int64_t> keep_score(scored);
  std::vector<std::int64_t> band_score(scored);
  PB_RETURN_IF_ERROR(kernels::Fuse(fuse, absl::MakeSpan(keep_score)));
  fuse.rule = state.policy.band;
  PB_RETURN_IF_ERROR(kernels::Fuse(fuse, absl::MakeSpan(band_score)));

  const std::vector<std::uint8_t> mask = ProtectedMask(state, layer);
  const int evicted_pages = (scored - counts.keep_rows) / kPageRows;
  const int band = std::min(counts.band_pages, evicted_pages) * kPageRows;
  std::vector<kernels::RowClass> classes(scored);
  const int near = scheduler::WholeShare(state.policy.near_share, band);
  PB_RETURN_IF_ERROR(
      kernels::Select({keep_score, band_score, mask, counts.keep_rows, near, band - near},
                      absl::MakeSpan(classes)));
  std::vector<scheduler::BorderlineRow> borderline;
  for (int i = 0; i < scored; ++i) {
    const int row = state.ring_rows + i;
    if (classes[i] == kernels::RowClass::kKept) {
      plan->kept_rows.push_back(row);
    } else if (classes[i] == kernels::RowClass::kBorderline) {
      borderline.push_back({row, layer.positions[row], BandValue(band_score[i])});
    }
  }
  plan->band = scheduler::PlanBand(ExistingPages(layer), borderline, counts.band_pages);
  if (state.ring_rows == 0) plan->ring_fill = RingFill(plan->band, counts.ring_pages);
  plan->dropped = scored - static_cast<std::int64_t>(plan->kept_rows.size()) -
                  static_cast<std::int64_t>(plan->band.publish.size()) * kPageRows;
  return absl::OkStatus();
}

/// Every slot of a ring is valid in every layer, so one layer with too few new pages leaves all
/// without.
void FitRing(const SequenceState& state, SequencePlan& plan) {
  if (state.ring_rows > 0) return;
  const auto ring_pages = static_cast<std::size_t>(plan.counts.ring_pages);
  const bool fits =
      std::all_of(plan.layers.begin(), plan.layers.end(),
                  [&](const LayerPlan& layer) { return layer.ring_fill.size() == ring_pages; });
  if (fits) return;
  plan.counts.ring_pages = 0;
  for (LayerPlan& layer : plan.layers) layer.ring_fill.clear();
}

std::uint64_t HashPlan(const RoundInProgress& round) {
  std::vector<std::int64_t> words = {static_cast<std::int64_t>(round.number)};
  for (const SequencePlan& sequence : round.sequences) {
    words.insert(words.end(),
                 {static_cast<std::int64_t>(sequence.sequence), sequence.rows, sequence.length,
                  sequence.counts.keep_rows, sequence.counts.ring_pages});
    for (const LayerPlan& layer : sequence.layers) {
      words.insert(words.end(), layer.kept_rows.begin(), layer.kept_rows.end());
      words.insert(words.end(), layer.information.begin(), layer.information.end());
      for (const auto& page : layer.band.publish) {
        for (const auto& row : page.rows) words.push_back(row.row);
        words.push_back(page.mean_information);
      }
      words.insert(words.end(), layer.band.drop.begin(), layer.band.drop.end());
      words.insert(words.end(), layer.ring_fill.begin(), layer.ring_fill.end());
    }
  }
  return XXH3_64bits(words.data(), words.size() * sizeof(words[0]));
}

/// Slabs for the pages this rank will offload. Without them the pages become misses later.
void LeaseSlabs(ShardContext& context, SequencePlan& plan) {
  if (context.store == nullptr) return;
  const auto& layers = context.sequences.at(plan.sequence).layers;
  int owned = 0;
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    for (std::size_t i = 0; i < plan.layers[l].band.publish.size(); ++i) {
      owned += context.OwnsPage(layers[l].next_page + static_cast<std::uint32_t>(i)) ? 1 : 0;
    }
  }
  if (owned == 0) return;
  auto leases = context.store->Lease(owned, kernels::PageBytes(context.options.model.kv),
                                     context.FetchDeadline());
  if (leases.ok()) plan.leases = *std::move(leases);
}

}  // namespace

absl::StatusOr<RoundInProgress> PlanRound(ShardContext& context, std::uint64_t number,
                                          std::span<const Shard::RoundEntry> entries) {
  RoundInProgress round;
  round.number = number;
  std::vector<SignalRequest> requests;
  std::vector<std::size_t> compressed;  // indices into round.sequences
  for (const Shard::RoundEntry& entry : entries) {
    const auto found = context.sequences.find(entry.sequence);
    if (found == context.sequences.end()) {
      return absl::NotFoundError("a round names a sequence that was never added");
    }
    const SequenceState& state = found->second;
    SequencePlan plan;
    plan.sequence = entry.sequence;
    plan.rows = state.rows;
    plan.length = state.length;
    if (!state.policy.keeps_all()) {
      plan.counts = scheduler::PlanRound(
          state.budget, {state.length, state.rows, state.ring_rows, ProtectedRows(state),
                         context.options.model.block_size});
    }
    if (plan.counts.compress) {
      compressed.push_back(round.sequences.size());
      requests.push_back(
          {&state, absl::MakeConstSpan(entry.block_table.data(), entry.block_table.size())});
    }
    round.sequences.push_back(std::move(plan));
  }
  if (!compressed.empty()) {
    std::vector<std::vector<LayerSignals>> signals;
    const absl::Status merged = MergeSignals(context, requests, context.RoundDeadline(), &signals);
    if (absl::IsDeadlineExceeded(merged)) {
      round.ready = false;
      round.not_ready_because = std::string(merged.message());
      return round;
    }
    PB_RETURN_IF_ERROR(merged);
    for (std::size_t i = 0; i < compressed.size(); ++i) {
      SequencePlan& plan = round.sequences[compressed[i]];
      plan.layers.resize(context.options.model.layers);
      for (std::size_t l = 0; l < plan.layers.size(); ++l) {
        PB_RETURN_IF_ERROR(PlanLayer(*requests[i].state, static_cast<int>(l), plan.counts,
                                     signals[i][l], &plan.layers[l]));
      }
      FitRing(*requests[i].state, plan);
      LeaseSlabs(context, plan);
    }
  }
  round.plan_hash = HashPlan(round);
  return round;
}

}  // namespace pinboard
