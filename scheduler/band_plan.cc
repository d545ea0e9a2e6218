// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/band_plan.h"

#include <algorithm>
#include <cstddef>
#include <tuple>

namespace pinboard::scheduler {
namespace {

std::vector<NewPage> Pack(absl::Span<const BorderlineRow> borderline) {
  std::vector<NewPage> pages(borderline.size() / kPageRows);
  for (std::size_t p = 0; p < pages.size(); ++p) {
    std::int64_t sum = 0;
    for (int i = 0; i < kPageRows; ++i) {
      pages[p].rows[i] = borderline[p * kPageRows + i];
      sum += pages[p].rows[i].information;
    }
    pages[p].mean_information = sum / kPageRows;
  }
  return pages;
}

/// A page that may leave, existing or new.
struct Candidate {
  std::int64_t mean_information;
  bool is_new;
  std::uint32_t number;  // of a new page: its index in position order
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return std::tie(a.mean_information, a.is_new, a.number) <
           std::tie(b.mean_information, b.is_new, b.number);
  }
};

}  // namespace

BandPlan PlanBand(absl::Span<const BandPage> existing, absl::Span<const BorderlineRow> borderline,
                  int capacity_pages) {
  std::vector<NewPage> packed = Pack(borderline);
  std::vector<Candidate> candidates;
  for (const BandPage& page : existing) {
    if (!page.pinned) candidates.push_back({page.mean_information, false, page.page});
  }
  for (std::size_t p = 0; p < packed.size(); ++p) {
    candidates.push_back({packed[p].mean_information, true, static_cast<std::uint32_t>(p)});
  }
  std::sort(candidates.begin(), candidates.end());
  const std::size_t total = existing.size() + packed.size();
  const auto capacity = static_cast<std::size_t>(std::max(capacity_pages, 0));
  const std::size_t leaving = total > capacity ? std::min(total - capacity, candidates.size()) : 0;

  BandPlan plan;
  std::vector<bool> published(packed.size(), true);
  for (std::size_t i = 0; i < leaving; ++i) {
    if (candidates[i].is_new) {
      published[candidates[i].number] = false;
    } else {
      plan.drop.push_back(candidates[i].number);
    }
  }
  std::sort(plan.drop.begin(), plan.drop.end());
  for (std::size_t p = 0; p < packed.size(); ++p) {
    if (published[p]) plan.publish.push_back(packed[p]);
  }
  return plan;
}

}  // namespace pinboard::scheduler
