// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_plan.h"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/fixed_point.h"
#include "base/status_macros.h"
#include "kernels/page_transfer/page_transfer.h"
#include "kernels/select/select.h"
#include "shard/head_round.h"
#include "shard/round_counts.h"
#include "shard/round_signals.h"

namespace pinboard {
namespace {

/// Below every score: Select keeps such a row last.
constexpr std::int64_t kNeverKept = std::numeric_limits<std::int64_t>::min();

/// Rows in the order of positions, as the selection sees them.
struct OrderedRows {
  OrderedRows(const SequenceState& state, const LayerState& layer,
              absl::Span<const std::int32_t> order,
              absl::Span<const std::int32_t> row_information) {
    const int first = ProtectedHead(state);
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

/// One layer's rows and their scores, in the order of positions.
struct ScoredRows {
  OrderedRows rows;
  std::vector<std::int64_t> keep;
  std::vector<std::int64_t> band;
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
absl::StatusOr<std::vector<std::size_t>> SelectKept(int ring_rows,
                                                    absl::Span<const std::int32_t> order,
                                                    const ScoredRows& scored, LayerPlan* plan) {
  std::vector<kernels::RowClass> classes(order.size());
  PB_RETURN_IF_ERROR(kernels::Select(
      {scored.keep, scored.keep, scored.rows.is_protected, plan->counts.keep_rows, 0, 0},
      absl::MakeSpan(classes)));
  std::vector<bool> retired(ring_rows / kPageRows, false);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (classes[i] != kernels::RowClass::kKept) continue;
    plan->kept_rows.push_back(order[i]);
    if (order[i] < ring_rows) retired[order[i] / kPageRows] = true;
  }
  for (std::size_t slot = 0; slot < retired.size(); ++slot) {
    if (retired[slot]) plan->ring_slots.push_back(static_cast<int>(slot));
  }
  std::vector<std::size_t> loose;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool in_page = order[i] < ring_rows && !retired[order[i] / kPageRows];
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

double Real(std::int64_t score) { return FromFixed(score, kScoreFractionBits); }

ScoreSummary Summary(absl::Span<const std::int64_t> scores) {
  if (scores.empty()) return {};
  const auto [lowest, highest] = std::minmax_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (const std::int64_t score : scores) sum += Real(score);
  return {static_cast<int>(scores.size()), Real(*lowest), sum / static_cast<double>(scores.size()),
          Real(*highest)};
}

void SummariseScores(absl::Span<const std::int32_t> order, const ScoredRows& scored,
                     LayerPlan* plan) {
  std::vector<bool> is_kept(order.size(), false);
  for (const std::int32_t row : plan->kept_rows) is_kept[row] = true;
  std::vector<std::int64_t> kept;
  std::vector<std::int64_t> other;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (!is_kept[order[i]]) {
      other.push_back(scored.keep[i]);
    } else if (scored.rows.is_protected[i] == 0) {
      kept.push_back(scored.keep[i]);
    }
  }
  plan->kept_scores = Summary(kept);
  plan->other_scores = Summary(other);
}

/// The plan of a layer before anything is decided: its rows, with the merged information.
LayerPlan StartLayer(const LayerState& layer, const LayerSignals& signals) {
  LayerPlan plan;
  plan.rows = layer.rows();
  plan.totals = layer.totals;
  plan.totals.Add(signals.information);
  plan.information = layer.information;
  std::copy(signals.information.begin(), signals.information.end(),
            plan.information.end() - static_cast<std::ptrdiff_t>(signals.information.size()));
  return plan;
}

/// Where KV heads keep rows apart, only which rows there are: heads score by themselves.
absl::StatusOr<ScoredRows> Score(const SequenceState& state, int l, const LayerSignals& signals,
                                 const LayerPlan& plan) {
  ScoredRows scored{.rows = OrderedRows(state, state.layers[l], signals.order, plan.information),
                    .keep = std::vector<std::int64_t>(signals.order.size()),
                    .band = std::vector<std::int64_t>(signals.order.size())};
  if (state.policy.per_head) return scored;
  kernels::FuseArgs fuse{
      state.policy.keep, state.policy.alpha,      state.policy.method.seed, l,
      signals.attention, scored.rows.information, scored.rows.positions,    plan.totals,
      signals.redundancy};
  PB_RETURN_IF_ERROR(kernels::Fuse(fuse, absl::MakeSpan(scored.keep)));
  fuse.rule = state.policy.band;
  PB_RETURN_IF_ERROR(kernels::Fuse(fuse, absl::MakeSpan(scored.band)));
  return scored;
}

/// Scope global: a row scores the sum over the layers, so that all keep the same positions. What
/// only some layers have, in their rings, cannot be kept by all.
void UniteKeepScores(int length, absl::Span<ScoredRows> layers) {
  std::vector<std::int64_t> sum(length, 0);
  std::vector<std::size_t> holders(length, 0);
  for (const ScoredRows& layer : layers) {
    for (std::size_t i = 0; i < layer.keep.size(); ++i) {
      sum[layer.rows.positions[i]] += layer.keep[i];
      ++holders[layer.rows.positions[i]];
    }
  }
  for (ScoredRows& layer : layers) {
    for (std::size_t i = 0; i < layer.keep.size(); ++i) {
      const std::int32_t position = layer.rows.positions[i];
      layer.keep[i] = holders[position] == layers.size() ? sum[position] : kNeverKept;
    }
  }
}

/// Decides a layer whose counts, rows and information are known.
absl::Status PlanLayer(const SequenceState& state, int l, const LayerSignals& signals,
                       const ScoredRows& scored, LayerPlan* plan) {
  const LayerState& layer = state.layers[l];
  const scheduler::RoundPlan& counts = plan->counts;
  const int ring_rows = layer.ring_rows();
  if (!counts.compress) {
    plan->kept_rows.resize(plan->rows - ring_rows);
    std::iota(plan->kept_rows.begin(), plan->kept_rows.end(), ring_rows);
    return absl::OkStatus();
  }
  if (state.policy.per_head) {
    PB_ASSIGN_OR_RETURN(plan->head_rows, SelectHeadRows(signals.attention, scored.rows.is_protected,
                                                        counts.keep_rows));
    plan->kept_rows = plan->head_rows.front();
    plan->dropped = plan->rows - counts.keep_rows;
    return absl::OkStatus();
  }
  PB_ASSIGN_OR_RETURN(const std::vector<std::size_t> loose,
                      SelectKept(ring_rows, signals.order, scored, plan));
  SummariseScores(signals.order, scored, plan);
  const std::vector<int> retired = plan->ring_slots;
  for (int slot = ring_rows / kPageRows; slot < counts.ring_pages; ++slot) {
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
      kernels::Select({Picked(scored.keep, loose), Picked(scored.band, loose),
                       std::vector<std::uint8_t>(loose.size(), 0), 0, near, band - near},
                      absl::MakeSpan(classes)));
  std::vector<scheduler::BorderlineRow> borderline;
  for (std::size_t i = 0; i < loose.size(); ++i) {
    if (classes[i] != kernels::RowClass::kBorderline) continue;
    borderline.push_back({signals.order[loose[i]], scored.rows.positions[loose[i]],
                          BandValue(scored.band[loose[i]])});
  }
  plan->band = scheduler::PlanBand(existing, borderline, counts.band_pages, slots);
  plan->dropped = static_cast<std::int64_t>(loose.size()) -
                  static_cast<std::int64_t>(plan->band.publish.size()) * kPageRows +
                  static_cast<std::int64_t>(plan->band.drop.size()) * kPageRows;
  return absl::OkStatus();
}

/// Leaves plan->layers empty where nothing is gained.
absl::Status PlanSequence(const SequenceState& state, int block_size,
                          absl::Span<const LayerSignals> signals, SequencePlan* plan) {
  std::vector<LayerPlan> layers;
  std::vector<std::int64_t> information;
  for (std::size_t l = 0; l < signals.size(); ++l) {
    layers.push_back(StartLayer(state.layers[l], signals[l]));
    information.push_back(layers.back().totals.sum);
  }
  const std::vector<scheduler::RoundPlan> counts = RoundCounts(state, block_size, information);
  if (!Compresses(counts)) return absl::OkStatus();
  std::vector<ScoredRows> scored;
  for (std::size_t l = 0; l < signals.size(); ++l) {
    layers[l].counts = counts[l];
    PB_ASSIGN_OR_RETURN(ScoredRows one, Score(state, static_cast<int>(l), signals[l], layers[l]));
    scored.push_back(std::move(one));
  }
  if (state.scope == scheduler::KeepScope::kGlobal) {
    UniteKeepScores(state.length, absl::MakeSpan(scored));
  }
  for (std::size_t l = 0; l < signals.size(); ++l) {
    PB_RETURN_IF_ERROR(PlanLayer(state, static_cast<int>(l), signals[l], scored[l], &layers[l]));
  }
  plan->layers = std::move(layers);
  return absl::OkStatus();
}

std::uint64_t HashPlan(const RoundInProgress& round) {
  std::vector<std::int64_t> words = {static_cast<std::int64_t>(round.number)};
  for (const SequencePlan& sequence : round.sequences) {
    words.insert(words.end(), {static_cast<std::int64_t>(sequence.sequence), sequence.length});
    for (const LayerPlan& layer : sequence.layers) {
      words.insert(words.end(), {layer.rows, layer.counts.keep_rows, layer.counts.ring_pages});
      words.insert(words.end(), layer.kept_rows.begin(), layer.kept_rows.end());
      for (const auto& rows : layer.head_rows) words.insert(words.end(), rows.begin(), rows.end());
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
void LeaseSlabs(ShardContext& context, const SequenceState& state, SequencePlan& plan) {
  if (context.store == nullptr || state.observe) return;
  const auto& layers = state.layers;
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

/// Scores and selects for the sequences `compressed` of the round.
absl::Status PlanLayers(ShardContext& context, absl::Span<const SignalRequest> requests,
                        absl::Span<const std::size_t> compressed, RoundInProgress* round) {
  std::vector<std::vector<LayerSignals>> signals;
  PB_RETURN_IF_ERROR(MergeSignals(context, requests, context.RoundDeadline(), &signals));
  for (std::size_t i = 0; i < compressed.size(); ++i) {
    SequencePlan& plan = round->sequences[compressed[i]];
    PB_RETURN_IF_ERROR(
        PlanSequence(*requests[i].state, context.options.model.block_size, signals[i], &plan));
    LeaseSlabs(context, *requests[i].state, plan);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RoundInProgress> PlanRound(ShardContext& context, std::uint64_t number,
                                          std::span<const Shard::RoundEntry> entries) {
  const int block_size = context.options.model.block_size;
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
    plan.length = state.length;
    if (!state.policy.keeps_all() && Compresses(RoundCounts(state, block_size, {}))) {
      compressed.push_back(round.sequences.size());
      requests.push_back({&state, &entry.block_tables});
    }
    round.sequences.push_back(std::move(plan));
  }
  if (!compressed.empty()) {
    const absl::Status planned = PlanLayers(context, requests, compressed, &round);
    if (absl::IsUnavailable(planned)) return planned;
    if (!planned.ok()) {
      round.NotReady(planned);
      return round;
    }
  }
  round.plan_hash = HashPlan(round);
  return round;
}

}  // namespace pinboard
