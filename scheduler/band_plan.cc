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
    std::int64_t information = 0;
    std::int64_t nearness = 0;
    for (int i = 0; i < kPageRows; ++i) {
      pages[p].rows[i] = borderline[p * kPageRows + i];
      information += pages[p].rows[i].information;
      nearness += pages[p].rows[i].nearness / kPageRows;
    }
    pages[p].mean_information = information / kPageRows;
    pages[p].mean_nearness = nearness;
  }
  return pages;
}

/// A page that may leave, existing or new.
struct Candidate {
  std::int64_t information;
  std::int64_t nearness;
  bool is_new;
  std::uint32_t number;  // of a new page: its index in position order
};

/// Moves the `count` with the highest value to the front.
void BringForward(absl::Span<Candidate> candidates, std::size_t count,
                  std::int64_t Candidate::*value) {
  const auto stays_before = [value](const Candidate& a, const Candidate& b) {
    return std::tuple(a.*value, a.is_new, a.number) > std::tuple(b.*value, b.is_new, b.number);
  };
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                   candidates.end(), stays_before);
}

}  // namespace

BandPlan PlanBand(absl::Span<const BandPage> existing, absl::Span<const BorderlineRow> borderline,
                  BandCapacity capacity) {
  std::vector<NewPage> packed = Pack(borderline);
  std::vector<Candidate> candidates;
  for (const BandPage& page : existing) {
    if (page.pinned) continue;
    candidates.push_back({page.mean_information, page.mean_nearness, false, page.page});
  }
  const std::size_t pinned = existing.size() - candidates.size();
  for (std::size_t p = 0; p < packed.size(); ++p) {
    candidates.push_back(
        {packed[p].mean_information, packed[p].mean_nearness, true, static_cast<std::uint32_t>(p)});
  }
  const auto pages = static_cast<std::size_t>(std::max(capacity.pages, 0));
  const std::size_t room = pages > pinned ? pages - pinned : 0;
  const std::size_t staying = std::min(room, candidates.size());
  const std::size_t far = staying - std::min(staying, static_cast<std::size_t>(capacity.near));
  BringForward(absl::MakeSpan(candidates), far, &Candidate::information);
  BringForward(absl::MakeSpan(candidates).subspan(far), staying - far, &Candidate::nearness);

  BandPlan plan;
  std::vector<bool> published(packed.size(), true);
  for (std::size_t i = staying; i < candidates.size(); ++i) {
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
