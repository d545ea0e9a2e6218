// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_choice.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "base/fixed_point.h"
#include "base/space_vector.h"
#include "base/status_macros.h"
#include "kernels/influence/influence_core.h"
#include "shard/head_round.h"
#include "shard/round_counts.h"
#include "shard/round_scores.h"

namespace pinboard {
namespace {

using kernels::RowClass;

/// A band score as the int32 that pages are ranked by; for rule kInformation this is E itself.
std::int32_t BandValue(std::int64_t score) {
  constexpr int kShift = kScoreFractionBits - kInformationFractionBits;
  return static_cast<std::int32_t>(
      std::min<std::int64_t>(score >> kShift, std::numeric_limits<std::int32_t>::max()));
}

/// The band without the pages in the ring slots `retired`; what is in the others, or on its way
/// there, is pinned.
std::vector<scheduler::BandPage> ExistingPages(const scheduler::RecallPlan& recall,
                                               absl::Span<const int> retired) {
  std::vector<std::uint32_t> leaving;
  for (const int slot : retired) leaving.push_back(recall.ring()[slot]);
  std::sort(leaving.begin(), leaving.end());
  std::vector<std::uint32_t> pinned(recall.ring().begin(), recall.ring().end());
  pinned.insert(pinned.end(), recall.in_flight().begin(), recall.in_flight().end());
  std::sort(pinned.begin(), pinned.end());
  std::vector<scheduler::BandPage> pages;
  pages.reserve(recall.pages().size());
  auto next_leaving = leaving.begin();
  auto next_pinned = pinned.begin();
  const auto reaches = [](auto& next, auto end, std::uint32_t page) {
    while (next != end && *next < page) ++next;
    return next != end && *next == page;
  };
  for (std::size_t i = 0; i < recall.pages().size(); ++i) {
    const std::uint32_t page = recall.pages()[i];
    if (reaches(next_leaving, leaving.end(), page)) continue;
    pages.push_back({page, recall.mean_information()[i], reaches(next_pinned, pinned.end(), page)});
  }
  return pages;
}

/// The plan of a layer before anything is decided: its rows, with the merged information.
LayerPlan StartLayer(const LayerState& layer, const LayerSignals& signals) {
  LayerPlan plan;
  plan.rows = layer.rows();
  plan.totals = layer.totals;
  plan.totals.Add(signals.information);
  plan.new_information.assign(signals.information.begin(), signals.information.end());
  return plan;
}

/// Of rows in the order of positions: those that every round keeps.
void MarkProtected(const SequenceState& state, const LayerState& layer,
                   absl::Span<const std::int32_t> order, absl::Span<std::uint8_t> marks) {
  const auto place = [&](std::int32_t position) {
    const auto is_before = [&](std::int32_t row, std::int32_t wanted) {
      return layer.positions[row] < wanted;
    };
    return std::lower_bound(order.begin(), order.end(), position, is_before) - order.begin();
  };
  const std::ptrdiff_t head = place(ProtectedHead(state));
  const std::ptrdiff_t recent = place(state.length - state.policy.method.window);
  std::fill(marks.begin(), marks.begin() + head, 1);
  std::fill(marks.begin() + std::max(head, recent), marks.end(), 1);
}

class Chooser {
 public:
  explicit Chooser(const ShardContext& context)
      : context_(context),
        operations_(*context.operations),
        keep_score_(operations_.memory()),
        band_score_(operations_.memory()) {}

  absl::Status Run(absl::Span<const SequenceToChoose> sequences) {
    for (const SequenceToChoose& sequence : sequences) PB_RETURN_IF_ERROR(Open(sequence));
    if (layers_.empty()) return absl::OkStatus();
    LayRowsOut();
    PB_RETURN_IF_ERROR(Score());
    PB_RETURN_IF_ERROR(SelectKept());
    return SelectBorderline();
  }

 private:
  /// A layer whose rows are selected; `first`: where its rows begin in what is laid out.
  struct Layer {
    const SequenceState* state = nullptr;
    int index = 0;
    const LayerSignals* signals = nullptr;
    LayerPlan* plan = nullptr;
    std::size_t first = 0;
    std::vector<scheduler::BandPage> existing;

    const LayerState& before() const { return state->layers[index]; }
    std::size_t rows() const { return signals->order.rows.size(); }
  };

  template <typename Vector>
  static auto Of(const Layer& layer, Vector& all) {
    return absl::MakeSpan(all).subspan(layer.first, layer.rows());
  }

  /// Layers that lose nothing, and those whose KV heads keep rows apart, are planned here.
  absl::Status Open(const SequenceToChoose& sequence) {
    const SequenceState& state = *sequence.state;
    std::vector<LayerPlan> plans;
    std::vector<std::int64_t> information;
    for (std::size_t l = 0; l < sequence.signals.size(); ++l) {
      plans.push_back(StartLayer(state.layers[l], sequence.signals[l]));
      information.push_back(plans.back().totals.sum);
    }
    const auto counts = RoundCounts(state, context_.options.model.block_size, information);
    if (!Compresses(counts)) return absl::OkStatus();
    sequence.plan->layers = std::move(plans);
    for (std::size_t l = 0; l < sequence.signals.size(); ++l) {
      LayerPlan& plan = sequence.plan->layers[l];
      plan.counts = counts[l];
      if (!plan.counts.compress) {
        const int ring_rows = state.layers[l].ring_rows();
        plan.kept_rows.resize(plan.rows - ring_rows);
        std::iota(plan.kept_rows.begin(), plan.kept_rows.end(), ring_rows);
      } else if (state.policy.per_head) {
        PB_RETURN_IF_ERROR(ChooseByHead(state, static_cast<int>(l), sequence.signals[l], &plan));
      } else {
        layers_.push_back({&state, static_cast<int>(l), &sequence.signals[l], &plan, rows_, {}});
        rows_ += layers_.back().rows();
      }
    }
    return absl::OkStatus();
  }

  static absl::Status ChooseByHead(const SequenceState& state, int l, const LayerSignals& signals,
                                   LayerPlan* plan) {
    std::vector<std::uint8_t> is_protected(plan->rows, 0);
    MarkProtected(state, state.layers[l], signals.order.rows, absl::MakeSpan(is_protected));
    PB_ASSIGN_OR_RETURN(plan->head_rows,
                        SelectHeadRows(signals.attention, is_protected, plan->counts.keep_rows));
    plan->kept_rows = plan->head_rows.front();
    plan->dropped = plan->rows - plan->counts.keep_rows;
    return absl::OkStatus();
  }

  /// E and protection of all rows, in the order of positions; positions where they are asked for.
  void LayRowsOut() {
    information_.resize(rows_);
    marks_.assign(rows_, 0);
    classes_.resize(rows_);
    if (std::any_of(layers_.begin(), layers_.end(), NeedsPositions)) positions_.resize(rows_);
    for (const Layer& layer : layers_) {
      const auto& order = layer.signals->order.rows;
      const auto information = Of(layer, information_);
      // New rows have the highest positions.
      const std::size_t old_rows = layer.plan->old_rows();
      const std::int32_t* const known = layer.before().information.data();
      for (std::size_t i = 0; i < old_rows; ++i) information[i] = known[order[i]];
      std::copy(layer.plan->new_information.begin(), layer.plan->new_information.end(),
                information.begin() + static_cast<std::ptrdiff_t>(old_rows));
      MarkProtected(*layer.state, layer.before(), order, Of(layer, marks_));
      if (!NeedsPositions(layer)) continue;
      const auto positions = Of(layer, positions_);
      for (std::size_t i = 0; i < order.size(); ++i) {
        positions[i] = layer.before().positions[order[i]];
      }
    }
  }
  static bool NeedsPositions(const Layer& layer) {
    return layer.state->scope == scheduler::KeepScope::kGlobal ||
           kernels::NeedsPositions(layer.state->policy.keep) ||
           kernels::NeedsPositions(layer.state->policy.band);
  }

  absl::Status Score() {
    PB_ASSIGN_OR_RETURN(const absl::Span<std::int64_t> keep, keep_score_.Resize(rows_));
    PB_ASSIGN_OR_RETURN(const absl::Span<std::int64_t> band, band_score_.Resize(rows_));
    std::vector<RowsToFuse> fused;
    bool reads_scores = context_.options.export_plans;
    for (const Layer& layer : layers_) {
      const scheduler::PolicySpec& policy = layer.state->policy;
      fused.push_back({{policy.keep, policy.alpha, policy.method.seed, layer.index,
                        layer.signals->attention, Of(layer, information_),
                        NeedsPositions(layer) ? Of(layer, positions_) : absl::Span<std::int32_t>(),
                        layer.plan->totals, layer.signals->redundancy},
                       policy.band});
      reads_scores |= layer.state->scope == scheduler::KeepScope::kGlobal;
    }
    PB_RETURN_IF_ERROR(operations_.Fuse(fused, keep, band));
    if (!reads_scores) return absl::OkStatus();
    scores_.resize(rows_);
    PB_RETURN_IF_ERROR(Read(keep_score_, &scores_));
    UniteScores();
    return operations_.Write(
        {reinterpret_cast<const std::byte*>(scores_.data()), rows_ * sizeof(std::int64_t)},
        {reinterpret_cast<std::byte*>(keep.data()), rows_ * sizeof(std::int64_t)});
  }

  absl::Status Read(const SpaceVector<std::int64_t>& from, std::vector<std::int64_t>* to) {
    to->resize(rows_);
    PB_RETURN_IF_ERROR(operations_.Read(
        {reinterpret_cast<const std::byte*>(from.view().data()), rows_ * sizeof(std::int64_t)},
        {reinterpret_cast<std::byte*>(to->data()), rows_ * sizeof(std::int64_t)}));
    return operations_.Finish();
  }

  /// Of sequences whose layers keep the same rows.
  void UniteScores() {
    for (auto first = layers_.begin(); first != layers_.end();) {
      const SequenceState* const state = first->state;
      const auto end = std::find_if(first, layers_.end(),
                                    [&](const Layer& layer) { return layer.state != state; });
      std::vector<LayerScores> scores;
      if (state->scope == scheduler::KeepScope::kGlobal) {
        for (; first != end; ++first) {
          scores.push_back({Of(*first, positions_), Of(*first, scores_)});
        }
        UniteKeepScores(state->length, scores);
      }
      first = end;
    }
  }

  absl::Status Select(absl::Span<const RowsToSelect> counts) {
    absl::Status chosen = operations_.Select(counts, keep_score_.view(), band_score_.view(), marks_,
                                             absl::MakeSpan(classes_));
    chosen.Update(operations_.Finish());  // in any case: results go to classes_
    return chosen;
  }

  /// Leaves marks on the rows that are kept or in a page.
  absl::Status SelectKept() {
    std::vector<RowsToSelect> counts;
    for (const Layer& layer : layers_) {
      counts.push_back(
          {.rows = static_cast<int>(layer.rows()), .keep = layer.plan->counts.keep_rows});
    }
    PB_RETURN_IF_ERROR(Select(counts));
    for (const Layer& layer : layers_) {
      if (context_.options.export_plans) {
        SummariseScores(Of(layer, scores_), Of(layer, classes_), Of(layer, marks_), layer.plan);
      }
      TakeKept(layer);
    }
    return absl::OkStatus();
  }

  void TakeKept(const Layer& layer) {
    const RowOrder& order = layer.signals->order;
    const auto classes = Of(layer, classes_);
    const auto marks = Of(layer, marks_);
    LayerPlan& plan = *layer.plan;
    plan.kept_rows.resize(order.rows.size());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < classes.size(); ++i) {
      const bool is_kept = classes[i] == RowClass::kKept;
      plan.kept_rows[kept] = order.rows[i];
      kept += is_kept ? 1 : 0;
      marks[i] = is_kept ? 1 : 0;
    }
    plan.kept_rows.resize(kept);
    const int ring_rows = layer.before().ring_rows();
    for (int first = 0; first < ring_rows; first += kPageRows) {
      const auto places = absl::MakeConstSpan(order.ring_places).subspan(first, kPageRows);
      const auto is_kept = [&](std::int32_t place) { return classes[place] == RowClass::kKept; };
      if (std::any_of(places.begin(), places.end(), is_kept)) {
        plan.ring_slots.push_back(first / kPageRows);
      } else {
        for (const std::int32_t place : places) marks[place] = 1;
      }
    }
  }

  absl::Status SelectBorderline() {
    std::vector<RowsToSelect> counts;
    for (Layer& layer : layers_) counts.push_back(BandCounts(&layer));
    const auto has_band = [](const RowsToSelect& layer) { return layer.near + layer.far > 0; };
    if (std::any_of(counts.begin(), counts.end(), has_band)) {
      PB_RETURN_IF_ERROR(Select(counts));
      PB_RETURN_IF_ERROR(ReadBandScores());
    } else {
      std::fill(classes_.begin(), classes_.end(), RowClass::kDropped);
    }
    for (const Layer& layer : layers_) PackPages(layer);
    return absl::OkStatus();
  }

  /// Where pages are ranked by more than E.
  absl::Status ReadBandScores() {
    const auto needs_them = [](const Layer& layer) {
      return layer.state->policy.band != ScoreRule::kInformation;
    };
    if (std::none_of(layers_.begin(), layers_.end(), needs_them)) return absl::OkStatus();
    return Read(band_score_, &scores_);
  }

  /// At least a page for each slot of the ring that gets one: a retired page leaves 16 rows, of
  /// which some are kept, and for each of those another row is not; the ring grows by no more than
  /// is evicted besides.
  RowsToSelect BandCounts(Layer* layer) const {
    LayerPlan& plan = *layer->plan;
    layer->existing = ExistingPages(layer->before().recall, plan.ring_slots);
    for (int slot = layer->before().recall.ring_pages(); slot < plan.counts.ring_pages; ++slot) {
      plan.ring_slots.push_back(slot);
    }
    const auto marks = Of(*layer, marks_);
    const int rows = static_cast<int>(layer->rows());
    const int loose = rows - std::accumulate(marks.begin(), marks.end(), 0);
    const int band =
        scheduler::NewPages(plan.counts.band_pages, static_cast<int>(layer->existing.size()), loose,
                            static_cast<int>(plan.ring_slots.size())) *
        kPageRows;
    const int near =
        layer->existing.empty() ? scheduler::WholeShare(layer->state->policy.near_share, band) : 0;
    plan.dropped = loose;
    return {.rows = rows, .near = near, .far = band - near};
  }

  void PackPages(const Layer& layer) const {
    const auto& order = layer.signals->order.rows;
    const auto classes = Of(layer, classes_);
    LayerPlan& plan = *layer.plan;
    std::vector<scheduler::BorderlineRow> borderline;
    const bool by_information = layer.state->policy.band == ScoreRule::kInformation;
    auto next = std::find(classes.begin(), classes.end(), RowClass::kBorderline);
    for (; next != classes.end();
         next = std::find(next + 1, classes.end(), RowClass::kBorderline)) {
      const std::size_t i = next - classes.begin();
      const std::size_t at = layer.first + i;
      borderline.push_back({order[i], layer.before().positions[order[i]],
                            by_information ? information_[at] : BandValue(scores_[at])});
    }
    plan.band = scheduler::PlanBand(layer.existing, borderline, plan.counts.band_pages,
                                    static_cast<int>(plan.ring_slots.size()));
    plan.dropped += (static_cast<std::int64_t>(plan.band.drop.size()) -
                     static_cast<std::int64_t>(plan.band.publish.size())) *
                    kPageRows;
  }

  const ShardContext& context_;
  Operations& operations_;
  std::vector<Layer> layers_;
  std::size_t rows_ = 0;  // of all layers
  // [rows_], each layer's in the order of positions.
  std::vector<std::int32_t> positions_, information_;
  std::vector<std::uint8_t> marks_;  // protected; later kept, or in a page
  std::vector<RowClass> classes_;
  std::vector<std::int64_t> scores_;  // on the host, where they are needed there
  SpaceVector<std::int64_t> keep_score_, band_score_;
};

}  // namespace

absl::Status ChooseRows(const ShardContext& context, absl::Span<const SequenceToChoose> sequences) {
  return Chooser(context).Run(sequences);
}

}  // namespace pinboard
