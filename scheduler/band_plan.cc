// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/band_plan.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/container/inlined_vector.h"

namespace pinboard::scheduler {
namespace {

/// Of a stretch's rows, one bit each.
using RowSet = std::uint64_t;
static_assert(kPackingStretch <= 64);

NewPage MakePage(absl::Span<const BorderlineRow> stretch, RowSet members) {
  NewPage page;
  std::int64_t sum = 0;
  for (BorderlineRow& row : page.rows) {
    row = stretch[std::countr_zero(members)];
    sum += row.information;
    members &= members - 1;
  }
  page.mean_information = sum / kPageRows;
  return page;
}

/// Its rows by descending information, then by position, `kPageRows` to a set; a rest joins none.
absl::InlinedVector<RowSet, kPackingStretch / kPageRows> SetsByInformation(
    absl::Span<const BorderlineRow> stretch) {
  absl::InlinedVector<std::uint64_t, kPackingStretch> order;  // information, then the index from 63
  for (std::size_t i = 0; i < stretch.size(); ++i) {
    const auto information =
        static_cast<std::uint64_t>(std::int64_t{stretch[i].information} + (std::int64_t{1} << 31));
    order.push_back(information << 32 | (63 - i));
  }
  std::sort(order.begin(), order.end(), std::greater<>());
  absl::InlinedVector<RowSet, kPackingStretch / kPageRows> sets(stretch.size() / kPageRows, 0);
  for (std::size_t at = 0; at < sets.size() * kPageRows; ++at) {
    sets[at / kPageRows] |= RowSet{1} << (63 - (order[at] & 63));
  }
  return sets;
}

/// `borderline` by ascending position.
std::vector<NewPage> Pack(absl::Span<const BorderlineRow> borderline, bool by_information) {
  std::vector<NewPage> pages;
  pages.reserve(borderline.size() / kPageRows);
  if (!by_information) {
    constexpr RowSet kAll = (RowSet{1} << kPageRows) - 1;
    for (std::size_t at = 0; at + kPageRows <= borderline.size(); at += kPageRows) {
      pages.push_back(MakePage(borderline.subspan(at, kPageRows), kAll));
    }
    return pages;
  }
  for (std::size_t first = 0; first < borderline.size(); first += kPackingStretch) {
    const auto stretch = borderline.subspan(first, kPackingStretch);
    for (const RowSet members : SetsByInformation(stretch)) {
      pages.push_back(MakePage(stretch, members));
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
