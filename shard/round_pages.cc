// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_pages.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/fixed_point.h"

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

}  // namespace

void TakeKept(RoundRows& rows, const RowsOfLayer& layer) {
  const RowOrder& order = layer.signals->order;
  const auto classes = RowsOf(layer, rows.classes);
  const auto marks = RowsOf(layer, rows.marks);
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

RowsToSelect CountBorderline(RoundRows& rows, RowsOfLayer* layer) {
  LayerPlan& plan = *layer->plan;
  layer->existing = ExistingPages(layer->before().recall, plan.ring_slots);
  for (int slot = layer->before().recall.ring_pages(); slot < plan.counts.ring_pages; ++slot) {
    plan.ring_slots.push_back(slot);
  }
  const auto marks = RowsOf(*layer, rows.marks);
  const int count = static_cast<int>(layer->rows());
  const int loose = count - std::accumulate(marks.begin(), marks.end(), 0);
  const int band =
      scheduler::NewPages(plan.counts.band_pages, static_cast<int>(layer->existing.size()), loose,
                          static_cast<int>(plan.ring_slots.size())) *
      kPageRows;
  const int near =
      layer->existing.empty() ? scheduler::WholeShare(layer->state->policy.near_share, band) : 0;
  plan.dropped = loose;
  return {.rows = count, .near = near, .far = band - near};
}

void PackPages(RoundRows& rows, const RowsOfLayer& layer) {
  const auto& order = layer.signals->order.rows;
  const auto classes = RowsOf(layer, rows.classes);
  LayerPlan& plan = *layer.plan;
  const bool by_information = layer.state->policy.band == ScoreRule::kInformation;
  std::vector<std::int32_t> places(classes.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    places[count] = static_cast<std::int32_t>(i);
    count += classes[i] == RowClass::kBorderline ? 1 : 0;
  }
  std::vector<scheduler::BorderlineRow> borderline(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int32_t row = order[places[i]];
    const std::size_t at = layer.first + places[i];
    borderline[i] = {row, layer.before().positions[row],
                     by_information ? rows.information[at] : BandValue(rows.scores[at])};
  }
  plan.band = scheduler::PlanBand(layer.existing, borderline, plan.counts.band_pages,
                                  static_cast<int>(plan.ring_slots.size()));
  plan.dropped += (static_cast<std::int64_t>(plan.band.drop.size()) -
                   static_cast<std::int64_t>(plan.band.publish.size())) *
                  kPageRows;
}

}  // namespace pinboard
