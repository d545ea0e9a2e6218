// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/band_plan.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

namespace pinboard::scheduler {
namespace {

NewPage MakePage(absl::Span<const BorderlineRow> rows) {
  NewPage page;
  std::copy(rows.begin(), rows.end(), page.rows.begin());
  std::sort(page.rows.begin(), page.rows.end(),
            [](const BorderlineRow& a, const BorderlineRow& b) { return a.position < b.position; });
  std::int64_t sum = 0;
  for (const BorderlineRow& row : page.rows) sum += row.information;
  page.mean_information = sum / kPageRows;
  return page;
}

std::vector<NewPage> Pack(absl::Span<const BorderlineRow> borderline, bool by_information) {
  std::vector<NewPage> pages;
  pages.reserve(borderline.size() / kPageRows);
  std::vector<BorderlineRow> rows(borderline.begin(), borderline.end());
  const auto size = static_cast<std::ptrdiff_t>(rows.size());
  for (std::ptrdiff_t first = 0; first < size; first += kPackingStretch) {
    const std::ptrdiff_t end = std::min<std::ptrdiff_t>(size, first + kPackingStretch);
    if (by_information) {
      std::sort(rows.begin() + first, rows.begin() + end,
                [](const BorderlineRow& a, const BorderlineRow& b) {
                  return a.information != b.information ? a.information > b.information
                                                        : a.position < b.position;
                });
    }
    for (std::ptrdiff_t at = first; at + kPageRows <= end; at += kPageRows) {
      pages.push_back(MakePage(absl::MakeConstSpan(rows).subspan(at, kPageRows)));
    }
  }
  return pages;
}

/// A page that may leave, existing or new: mean information, then existing before new, then its
/// number or index in packing order; in one integer, because a band has many.
using Candidate = std::uint64_t;
constexpr std::uint64_t kIsNew = std::uint64_t{1} << 31;

/// A mean of int32 values is one, and pages are fewer than 2^31.
Candidate MakeCandidate(std::int64_t mean_information, std::uint64_t is_new, std::uint32_t number) {
  return static_cast<std::uint64_t>(mean_information + (std::int64_t{1} << 31)) << 32 | is_new |
         number;
}

std::vector<Candidate> Candidates(absl::Span<const BandPage> existing,
                                  absl::Span<const NewPage> packed,
                                  const std::vector<bool>& fills) {
  std::vector<Candidate> candidates;
  candidates.reserve(existing.size() + packed.size());
  for (const BandPage& page : existing) {
    if (!page.pinned) candidates.push_back(MakeCandidate(page.mean_information, 0, page.page));
  }
  for (std::size_t p = 0; p < packed.size(); ++p) {
    if (fills[p]) continue;
    candidates.push_back(
        MakeCandidate(packed[p].mean_information, kIsNew, static_cast<std::uint32_t>(p)));
  }
  return candidates;
}

/// The `count` first of them, in any order; all where there are fewer.
std::vector<Candidate> Worst(std::size_t count, std::vector<Candidate> candidates) {
  if (count < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                     candidates.end());
    candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(count), candidates.end());
  }
  return candidates;
}

std::vector<bool> MostInformative(absl::Span<const NewPage> pages, int count) {
  if (std::cmp_greater_equal(count, pages.size())) return std::vector<bool>(pages.size(), true);
  std::vector<std::size_t> order(pages.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return pages[a].mean_information > pages[b].mean_information;
  });
  order.resize(std::min(order.size(), static_cast<std::size_t>(std::max(count, 0))));
  std::vector<bool> chosen(pages.size(), false);
  for (const std::size_t page : order) chosen[page] = true;
  return chosen;
}

}  // namespace

int NewPages(int capacity_pages, int existing_pages, int loose_rows, int fill_pages) {
  const int room = std::max(0, capacity_pages - existing_pages);
  const int wanted = existing_pages > 0 ? std::min(room + 1, capacity_pages) : room;
  return std::max(fill_pages, std::min(wanted, loose_rows / kPageRows));
}

BandPlan PlanBand(absl::Span<const BandPage> existing, absl::Span<const BorderlineRow> borderline,
                  int capacity_pages, int fill_pages) {
  std::vector<NewPage> packed = Pack(borderline, /*by_information=*/!existing.empty());
  const std::vector<bool> fills = MostInformative(packed, fill_pages);
  const std::size_t total = existing.size() + packed.size();
  const auto capacity = static_cast<std::size_t>(std::max(capacity_pages, 0));
  const std::vector<Candidate> leaving =
      total > capacity ? Worst(total - capacity, Candidates(existing, packed, fills))
                       : std::vector<Candidate>();

  BandPlan plan;
  std::vector<bool> published(packed.size(), true);
  for (const Candidate page : leaving) {
    const auto number = static_cast<std::uint32_t>(page & (kIsNew - 1));
    if ((page & kIsNew) != 0) {
      published[number] = false;
    } else {
      plan.drop.push_back(number);
    }
  }
  std::sort(plan.drop.begin(), plan.drop.end());
  for (std::size_t p = 0; p < packed.size(); ++p) {
    if (!published[p]) continue;
    if (fills[p]) plan.fill.push_back(plan.publish.size());
    plan.publish.push_back(packed[p]);
  }
  return plan;
}

}  // namespace pinboard::scheduler
