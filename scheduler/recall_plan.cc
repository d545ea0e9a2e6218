// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/recall_plan.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <limits>
#include <numeric>

namespace pinboard::scheduler {
namespace {

bool Contains(absl::Span<const std::uint32_t> ascending, std::uint32_t page) {
  return std::binary_search(ascending.begin(), ascending.end(), page);
}

/// False where it was not there.
bool EraseFrom(std::vector<std::uint32_t>& ascending, std::uint32_t page) {
  const auto at = std::lower_bound(ascending.begin(), ascending.end(), page);
  if (at == ascending.end() || *at != page) return false;
  ascending.erase(at);
  return true;
}

void InsertInto(std::vector<std::uint32_t>& ascending, std::uint32_t page) {
  ascending.insert(std::lower_bound(ascending.begin(), ascending.end(), page), page);
}

}  // namespace

RecallPlan::RecallPlan(int ring_pages) : ring_(ring_pages, kEmptySlot) {}

void RecallPlan::Add(std::uint32_t page, std::int64_t mean_information) {
  const auto at = std::lower_bound(pages_.begin(), pages_.end(), page);
  if (at != pages_.end() && *at == page) return;
  mean_information_.insert(mean_information_.begin() + (at - pages_.begin()), mean_information);
  smoothed_.insert(smoothed_.begin() + (at - pages_.begin()), 0);
  pages_.insert(at, page);
  knows_wanted_ = false;
}

void RecallPlan::Remove(std::uint32_t page) {
  const auto at = std::lower_bound(pages_.begin(), pages_.end(), page);
  if (at == pages_.end() || *at != page) return;
  mean_information_.erase(mean_information_.begin() + (at - pages_.begin()));
  smoothed_.erase(smoothed_.begin() + (at - pages_.begin()));
  pages_.erase(at);
  knows_wanted_ = false;
}

void RecallPlan::GrowRing(int ring_pages) {
  ring_.resize(std::max(ring_.size(), static_cast<std::size_t>(ring_pages)), kEmptySlot);
  knows_wanted_ = false;
}

void RecallPlan::Place(std::uint32_t page, int ring_slot) { ring_[ring_slot] = page; }

std::vector<std::uint32_t> RecallPlan::Update(absl::Span<const std::int32_t> scores,
                                              int max_fetches, Smoothing smoothing) {
  assert(scores.size() == pages_.size());
  for (std::size_t i = 0; i < smoothed_.size(); ++i) {
    smoothed_[i] =
        smoothing == Smoothing::kHalf ? smoothed_[i] / 2 + scores[i] / 2 : std::int64_t{scores[i]};
  }
  std::vector<std::uint32_t> fetches;
  wanted_ = WantedBestFirst();
  for (const std::uint32_t page : wanted_) {
    if (static_cast<int>(fetches.size()) >= max_fetches) break;
    if (!IsResident(page) && !Contains(in_flight_, page)) fetches.push_back(page);
  }
  std::sort(wanted_.begin(), wanted_.end());
  knows_wanted_ = true;
  std::sort(fetches.begin(), fetches.end());
  for (const std::uint32_t page : fetches) InsertInto(in_flight_, page);
  return fetches;
}

std::vector<Replacement> RecallPlan::Resolve(absl::Span<const std::uint32_t> ready,
                                             absl::Span<const std::uint32_t> missed) {
  for (const std::uint32_t page : missed) {
    if (EraseFrom(in_flight_, page)) Remove(page);
  }
  std::vector<std::uint32_t> arrived;
  for (const std::uint32_t page : ready) {
    if (EraseFrom(in_flight_, page)) arrived.push_back(page);
  }
  if (arrived.empty()) return {};
  std::sort(arrived.begin(), arrived.end());
  const std::vector<std::uint32_t>& wanted = Wanted();
  // As many as may be needed: no more pages are wanted than there are slots, and a page that needs
  // a slot is wanted and not resident.
  const std::vector<int> slots = SlotsToReplace(wanted);
  std::vector<Replacement> replacements;
  for (const std::uint32_t page : arrived) {
    if (!Contains(wanted, page)) continue;
    const int slot = slots[replacements.size()];
    ring_[slot] = page;
    replacements.push_back({page, slot});
  }
  return replacements;
}

const std::vector<std::uint32_t>& RecallPlan::Wanted() {
  if (!knows_wanted_) {
    wanted_ = WantedBestFirst();
    std::sort(wanted_.begin(), wanted_.end());
    knows_wanted_ = true;
  }
  return wanted_;
}

std::vector<std::uint32_t> RecallPlan::WantedBestFirst() const {
  std::vector<std::size_t> order(pages_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t count = std::min(ring_.size(), order.size());
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(count);
  const auto is_better = [&](std::size_t a, std::size_t b) {
    return smoothed_[a] != smoothed_[b] ? smoothed_[a] > smoothed_[b] : a < b;
  };
  std::nth_element(order.begin(), end, order.end(), is_better);
  std::sort(order.begin(), end, is_better);
  std::vector<std::uint32_t> wanted(count);
  std::transform(order.begin(), end, wanted.begin(), [&](std::size_t i) { return pages_[i]; });
  return wanted;
}

bool RecallPlan::IsResident(std::uint32_t page) const {
  return std::find(ring_.begin(), ring_.end(), page) != ring_.end();
}

std::int64_t RecallPlan::ScoreOf(std::uint32_t page) const {
  const auto at = std::lower_bound(pages_.begin(), pages_.end(), page);
  if (at == pages_.end() || *at != page) return std::numeric_limits<std::int64_t>::min();
  return smoothed_[at - pages_.begin()];
}

std::vector<int> RecallPlan::SlotsToReplace(absl::Span<const std::uint32_t> wanted) const {
  struct Candidate {
    std::int64_t score;
    std::uint32_t page;
    int slot;
  };
  std::vector<Candidate> candidates;
  candidates.reserve(ring_.size());
  for (std::size_t i = 0; i < ring_.size(); ++i) {
    if (Contains(wanted, ring_[i])) continue;
    candidates.push_back({ScoreOf(ring_[i]), ring_[i], static_cast<int>(i)});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score < b.score;
    return a.page != b.page ? a.page > b.page : a.slot < b.slot;
  });
  std::vector<int> slots(candidates.size());
  std::transform(candidates.begin(), candidates.end(), slots.begin(),
                 [](const Candidate& candidate) { return candidate.slot; });
  return slots;
}

}  // namespace pinboard::scheduler
