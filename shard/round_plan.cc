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

/// Rows in the order of positions, as the selection sees them.
struct OrderedRows {
  OrderedRows(const SequenceState& state, const LayerState& layer,
              absl::Span<const std::int32_t> order,
              absl::Span<const std::int32_t> row_information) {
    const int first =
        std::max(state.policy.method.sinks, state.policy.protect_prompt ? state.prompt_tokens : 0);
    const int recent = state.length - state.policy.method.window;
    for (const std::int32_t row : order) {
      const std::int32_t position = layer.positions[row];
      positions.push_back(position);
      information.push_back(row_information[row]);
      is_protected.push_back(position < first || position >= recent ? 1 : 0);
    }
  }

  std::vector<std::int32_t> positions;
  std::vector<std::int32_t> information;
  std::vector<std::uint8_t> is_protected;
};

/// A band score as the int32 that pages are ranked by; for rule kInformation this is E itself.
std::int32_t BandValue(std::int64_t score) {
  constexpr int kShift = kScoreFractionBits - kInformationFractionBits;
  return static_cast<std::int32_t>(
      std::min<std::int64_t>(score >> kShift, std::numeric_limits<std::int32_t>::max()));
}

/// The band without the pages in the ring slots `retired`.
std::vector<scheduler::BandPage> ExistingPages(const LayerState& layer,
                                               absl::Span<const int> retired) {
  std::vector<std::uint32_t> leaving;
  for (const int slot : retired) leaving.push_back(layer.recall.ring()[slot]);
  std::vector<scheduler::BandPage> pages;
  const auto& ring = layer.recall.ring();
  const auto& in_flight = layer.recall.in_flight();
  for (const std::uint32_t page : layer.recall.pages()) {
    if (std::find(leaving.begin(), leaving.end(), page) != leaving.end()) continue;
    const bool pinned = std::find(ring.begin(), ring.end(), page) != ring.end() ||
                        std::binary_search(in_flight.begin(), in_flight.end(), page);
    pages.push_back({page, layer.pages.at(page).mean_information, pinned});
  }
  return pages;
}

/// Selects the kept rows; returns the rows left over that are in no page: what was evicted, and the
/// rest of pages of which a row is kept. Indices into the order of positions.
absl::StatusOr<std::vector<std::size_t>> SelectKept(const SequenceState& state,
                                                    absl::Span<const std::int32_t> order,
                                                    absl::Span<const std::int64_t> score,
                                                    absl::Span<const std::uint8_t> is_protected,
                                                    int keep, LayerPlan* plan) {
  std::vector<kernels::RowClass> classes(order.size());
  PB_RETURN_IF_ERROR(
      kernels::Select({score, score, is_protected, keep, 0, 0}, absl::MakeSpan(classes)));
  std::vector<bool> retired(state.ring_rows / kPageRows, false);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (classes[i] != kernels::RowClass::kKept) continue;
    plan->kept_rows.push_back(order[i]);
    if (order[i] < state.ring_rows) retired[order[i] / kPageRows] = true;
  }
  for (std::size_t slot = 0; slot < retired.size(); ++slot) {
    if (retired[slot]) plan->ring_slots.push_back(static_cast<int>(slot));
  }
  std::vector<std::size_t> loose;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool in_page = order[i] < state.ring_rows && !retired[order[i] / kPageRows];
    if (classes[i] != kernels::RowClass::kKept && !in_page) loose.push_back(i);
  }
  return loose;
}

template <typename T>
std::vector<T> Picked(const std::vector<T>& values, absl::Span<const std::size_t> indices) {
  std::vector<T> picked;
  picked.reserve(indices.size());
  for (const std::size_t i : indices) picked.push_back(values[i]);
  return picked;
}

absl::Status PlanLayer(const SequenceState& state, int l, const scheduler::RoundPlan& counts,
                       const LayerSignals& signals, LayerPlan* plan) {
  const LayerState& layer = state.layers[l];
  plan->totals = layer.totals;
  plan->totals.Add(signals.information);
  plan->information = layer.information;
  std::copy(signals.information.begin(), signals.information.end(),
            plan->information.end() - static_cast<std::ptrdiff_t>(signals.information.size()));

  const OrderedRows rows(state, layer, signals.order, plan->information);
  kernels::FuseArgs fuse{
      state.policy.keep, state.policy.method.alpha, state.policy.method.seed, l,
      signals.attention, rows.information,          rows.positions,           plan->totals};
  std::vector<std::int64_t> keep_score(signals.order.size());
  std::vector<std::int64_t> band_score(signals.order.size());
  PB_RETURN_IF_ERROR(kernels::Fuse(fuse, absl::MakeSpan(keep_score)));
  fuse.rule = state.policy.band;
  PB_RETURN_IF_ERROR(kernels::Fuse(fuse, absl::MakeSpan(band_score)));

  PB_ASSIGN_OR_RETURN(
      const std::vector<std::size_t> loose,
      SelectKept(state, signals.order, keep_score, rows.is_protected, counts.keep_rows, plan));
  const std::vector<int> retired = plan->ring_slots;
  for (int slot = state.ring_rows / kPageRows; slot < counts.ring_pages; ++slot) {
    plan->ring_slots.push_back(slot);
  }
  // At least a page for each slot: a retired page leaves 16 rows, of which some are kept, and for
  // each of those another row is not; the ring grows by no more than is evicted besides.
  const int slots = static_cast<int>(plan->ring_slots.size());
  const std::vector<scheduler::BandPage> existing = ExistingPages(layer, retired);
  const int band = scheduler::NewPages(counts.band_pages, static_cast<int>(existing.size()),
                                       static_cast<int>(loose.size()), slots) *
                   kPageRows;
  const int near = existing.empty() ? scheduler::WholeShare(state.policy.near_share, band) : 0;
  std::vector<kernels::RowClass> classes(loose.size());
  PB_RETURN_IF_ERROR(
      kernels::Select({Picked(keep_score, loose), Picked(band_score, loose),
                       std::vector<std::uint8_t>(loose.size(), 0), 0, near, band - near},
                      absl::MakeSpan(classes)));
  std::vector<scheduler::BorderlineRow> borderline;
  for (std::size_t i = 0; i < loose.size(); ++i) {
    if (classes[i] != kernels::RowClass::kBorderline) continue;
    borderline.push_back(
        {signals.order[loose[i]], rows.positions[loose[i]], BandValue(band_score[loose[i]])});
  }
  plan->band = scheduler::PlanBand(existing, borderline, counts.band_pages, slots);
  plan->dropped = static_cast<std::int64_t>(loose.size()) -
                  static_cast<std::int64_t>(plan->band.publish.size()) * kPageRows +
                  static_cast<std::int64_t>(plan->band.drop.size()) * kPageRows;
  return absl::OkStatus();
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
      words.insert(words.end(), layer.ring_slots.begin(), layer.ring_slots.end());
      words.insert(words.end(), layer.band.fill.begin(), layer.band.fill.end());
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

scheduler::RoundPlan PlanCounts(const ShardContext& context, const SequenceState& state) {
  if (state.policy.keeps_all()) return {};
  return scheduler::PlanRound(state.budget,
                              {.length = state.length,
                               .rows = state.rows,
                               .ring_rows = state.ring_rows,
                               .prompt_rows = std::min(state.prompt_tokens, state.length),
                               .protected_rows = ProtectedRows(state),
                               .block_size = context.options.model.block_size});
}

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
    plan.keep_all = entry.keep_all;
    if (!plan.keep_all) plan.counts = PlanCounts(context, state);
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
      LeaseSlabs(context, plan);
    }
  }
  round.plan_hash = HashPlan(round);
  return round;
}

}  // namespace pinboard
