// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_choice.h"

#include <algorithm>
#include <vector>

#include "base/space_vector.h"
#include "base/status_macros.h"
#include "shard/round_opening.h"
#include "shard/round_pages.h"
#include "shard/round_rows.h"
#include "shard/round_scores.h"

namespace pinboard {
namespace {

using kernels::RowClass;

class Chooser {
 public:
  explicit Chooser(const ShardContext& context)
      : context_(context),
        operations_(*context.operations),
        keep_score_(operations_.memory()),
        band_score_(operations_.memory()) {}

  absl::Status Run(absl::Span<const SequenceToChoose> sequences) {
    for (const SequenceToChoose& sequence : sequences) {
      PB_RETURN_IF_ERROR(OpenPlan(context_, sequence, &rows_));
    }
    if (rows_.layers.empty()) return absl::OkStatus();
    rows_.LayOut();
    PB_RETURN_IF_ERROR(Score());
    PB_RETURN_IF_ERROR(SelectKept());
    return SelectBorderline();
  }

 private:
  absl::Status Score() {
    PB_ASSIGN_OR_RETURN(const absl::Span<std::int64_t> keep, keep_score_.Resize(rows_.count));
    PB_ASSIGN_OR_RETURN(const absl::Span<std::int64_t> band, band_score_.Resize(rows_.count));
    std::vector<RowsToFuse> fused;
    bool reads_scores = context_.options.export_plans;
    for (const RowsOfLayer& layer : rows_.layers) {
      const scheduler::PolicySpec& policy = layer.state->policy;
      fused.push_back(
          {{policy.keep, policy.alpha, policy.method.seed, layer.index, layer.signals->attention,
            RowsOf(layer, rows_.information),
            layer.NeedsPositions() ? RowsOf(layer, rows_.positions) : absl::Span<std::int32_t>(),
            layer.plan->totals, layer.signals->redundancy},
           policy.band});
      reads_scores |= layer.state->scope == scheduler::KeepScope::kGlobal;
    }
    PB_RETURN_IF_ERROR(operations_.Fuse(fused, keep, band));
    if (!reads_scores) return absl::OkStatus();
    rows_.scores.resize(rows_.count);
    PB_RETURN_IF_ERROR(Read(keep_score_, &rows_.scores));
    UniteScores();
    return operations_.Write(
        {reinterpret_cast<const std::byte*>(rows_.scores.data()),
         rows_.count * sizeof(std::int64_t)},
        {reinterpret_cast<std::byte*>(keep.data()), rows_.count * sizeof(std::int64_t)});
  }

  absl::Status Read(const SpaceVector<std::int64_t>& from, std::vector<std::int64_t>* to) {
    to->resize(rows_.count);
    PB_RETURN_IF_ERROR(operations_.Read(
        {reinterpret_cast<const std::byte*>(from.view().data()),
         rows_.count * sizeof(std::int64_t)},
        {reinterpret_cast<std::byte*>(to->data()), rows_.count * sizeof(std::int64_t)}));
    return operations_.Finish();
  }

  /// Of sequences whose layers keep the same rows.
  void UniteScores() {
    for (auto first = rows_.layers.begin(); first != rows_.layers.end();) {
      const SequenceState* const state = first->state;
      const auto end = std::find_if(first, rows_.layers.end(),
                                    [&](const RowsOfLayer& layer) { return layer.state != state; });
      std::vector<LayerScores> scores;
      if (state->scope == scheduler::KeepScope::kGlobal) {
        for (; first != end; ++first) {
          scores.push_back({RowsOf(*first, rows_.positions), RowsOf(*first, rows_.scores)});
        }
        UniteKeepScores(state->length, scores);
      }
      first = end;
    }
  }

  absl::Status Select(absl::Span<const RowsToSelect> counts) {
    absl::Status chosen = operations_.Select(counts, keep_score_.view(), band_score_.view(),
                                             rows_.marks, absl::MakeSpan(rows_.classes));
    chosen.Update(operations_.Finish());  // in any case: results go to rows_
    return chosen;
  }

  /// Leaves marks on the rows that are kept or in a page.
  absl::Status SelectKept() {
    std::vector<RowsToSelect> counts;
    for (const RowsOfLayer& layer : rows_.layers) {
      counts.push_back(
          {.rows = static_cast<int>(layer.rows()), .keep = layer.plan->counts.keep_rows});
    }
    PB_RETURN_IF_ERROR(Select(counts));
    rows_.ForEachLayer([&](const RowsOfLayer& layer, std::size_t) {
      if (context_.options.export_plans) {
        SummariseScores(RowsOf(layer, rows_.scores), RowsOf(layer, rows_.classes),
                        RowsOf(layer, rows_.marks), layer.plan);
      }
      TakeKept(rows_, layer);
    });
    return absl::OkStatus();
  }

  absl::Status SelectBorderline() {
    std::vector<RowsToSelect> counts(rows_.layers.size());
    rows_.ForEachLayer(
        [&](RowsOfLayer& layer, std::size_t i) { counts[i] = CountBorderline(rows_, &layer); });
    const auto has_band = [](const RowsToSelect& layer) { return layer.near + layer.far > 0; };
    if (std::any_of(counts.begin(), counts.end(), has_band)) {
      PB_RETURN_IF_ERROR(Select(counts));
      PB_RETURN_IF_ERROR(ReadBandScores());
    } else {
      std::fill(rows_.classes.begin(), rows_.classes.end(), RowClass::kDropped);
    }
    rows_.ForEachLayer([&](const RowsOfLayer& layer, std::size_t) { PackPages(rows_, layer); });
    return absl::OkStatus();
  }

  /// Where pages are ranked by more than E.
  absl::Status ReadBandScores() {
    const auto needs_them = [](const RowsOfLayer& layer) {
      return layer.state->policy.band != ScoreRule::kInformation;
    };
    if (std::none_of(rows_.layers.begin(), rows_.layers.end(), needs_them)) return absl::OkStatus();
    return Read(band_score_, &rows_.scores);
  }

  const ShardContext& context_;
  Operations& operations_;
  RoundRows rows_;
  SpaceVector<std::int64_t> keep_score_, band_score_;
};

}  // namespace

absl::Status ChooseRows(const ShardContext& context, absl::Span<const SequenceToChoose> sequences) {
  return Chooser(context).Run(sequences);
}

}  // namespace pinboard
