// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/recall_plan.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <functional>
#include <limits>
#include <utility>

namespace pinboard::scheduler {
namespace {

bool Contains(const PageList& pages, std::uint32_t page) {
  bool found = false;  // without a way out: some sixteen comparisons at once
  for (const std::uint32_t one : pages) found |= one == page;
  return found;
}

/// A number of scores that are compared at once.
constexpr std::size_t kBlock = 8;

bool AnyReaches(const std::int32_t* block, std::int32_t floor) {
  bool any = false;
  for (std::size_t i = 0; i < kBlock; ++i) any |= block[i] >= floor;
  return any;
}

/// False where it was not there.
bool EraseFrom(PageList& ascending, std::uint32_t page) {
  const auto at = std::lower_bound(ascending.begin(), ascending.end(), page);
  if (at == ascending.end() || *at != page) return false;
  ascending.erase(at);
  return true;
}

void InsertInto(PageList& ascending, std::uint32_t page) {
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
  knows_ = false;
}

void RecallPlan::Remove(std::uint32_t page) {
  const auto at = std::lower_bound(pages_.begin(), pages_.end(), page);
  if (at == pages_.end() || *at != page) return;
  mean_information_.erase(mean_information_.begin() + (at - pages_.begin()));
  smoothed_.erase(smoothed_.begin() + (at - pages_.begin()));
  pages_.erase(at);
  knows_ = false;
}

void RecallPlan::GrowRing(int ring_pages) {
  ring_.resize(std::max(ring_.size(), static_cast<std::size_t>(ring_pages)), kEmptySlot);
  knows_ = false;
}

void RecallPlan::Place(std::uint32_t page, int ring_slot) {
  ring_[ring_slot] = page;
  knows_ = false;
}

void RecallPlan::Smooth(absl::Span<const std::int32_t> scores, Smoothing smoothing) {
  assert(scores.size() == smoothed_.size());
  if (smoothing == Smoothing::kNone) {
    std::copy(scores.begin(), scores.end(), smoothed_.begin());
    return;
  }
  std::transform(scores.begin(), scores.end(), smoothed_.begin(), smoothed_.begin(),
                 [](std::int32_t now, std::int32_t before) { return before / 2 + now / 2; });
}

PageList RecallPlan::Update(absl::Span<const std::int32_t> scores, int max_fetches,
                            Smoothing smoothing) {
  Smooth(scores, smoothing);
  Know();
  PageList fetches;  // indices first
  for (std::size_t i = 0; i < wanted_.size(); ++i) {
    if (Contains(ring_at_, wanted_at_[i]) || Contains(in_flight_, wanted_[i])) continue;
    fetches.push_back(wanted_at_[i]);
  }
  const auto most = static_cast<std::size_t>(std::max(max_fetches, 0));
  if (fetches.size() > most) {
    std::sort(fetches.begin(), fetches.end(),
              [this](std::uint32_t a, std::uint32_t b) { return RankOf(a) > RankOf(b); });
    fetches.resize(most);
    std::sort(fetches.begin(), fetches.end());
  }
  for (std::uint32_t& page : fetches) page = pages_[page];
  for (const std::uint32_t page : fetches) InsertInto(in_flight_, page);
  return fetches;
}

Replacements RecallPlan::Resolve(absl::Span<const std::uint32_t> ready,
                                 absl::Span<const std::uint32_t> missed) {
  for (const std::uint32_t page : missed) {
    if (EraseFrom(in_flight_, page)) Remove(page);
  }
  PageList arrived;
  for (const std::uint32_t page : ready) {
    if (EraseFrom(in_flight_, page)) arrived.push_back(page);
  }
  if (arrived.empty()) return {};
  std::sort(arrived.begin(), arrived.end());
  if (!knows_) Know();
  Replacements replacements;
  for (const std::uint32_t page : arrived) {
    const auto wanted = std::lower_bound(wanted_.begin(), wanted_.end(), page);
    if (wanted == wanted_.end() || *wanted != page) continue;
    // There is one: no more pages are wanted than there are slots, and this one is wanted and not
    // resident.
    const int slot = replaceable_.back();
    replaceable_.pop_back();
    ring_[slot] = page;
    ring_at_[slot] = wanted_at_[wanted - wanted_.begin()];
    replacements.push_back({page, slot});
  }
  return replacements;
}

void RecallPlan::Know() {
  if (!knows_) FindRing();
  ChooseWanted();
  ChooseReplaceable();
  knows_ = true;
}

void RecallPlan::FindRing() {
  ring_at_.clear();
  for (const std::uint32_t page : ring_) {
    const auto at = std::lower_bound(pages_.begin(), pages_.end(), page);
    const bool is_there = at != pages_.end() && *at == page;
    ring_at_.push_back(is_there ? static_cast<std::uint32_t>(at - pages_.begin()) : kNowhere);
  }
}

RecallPlan::Rank RecallPlan::RankOf(std::uint32_t index) const {
  return Rank{smoothed_[index]} * (Rank{1} << 32) + (0xffffffffU - index);
}

std::int32_t RecallPlan::FloorOfWanted() const {
  if (!knows_) return std::numeric_limits<std::int32_t>::min();
  std::int32_t floor = std::numeric_limits<std::int32_t>::max();
  for (const std::uint32_t index : wanted_at_) floor = std::min(floor, smoothed_[index]);
  return floor;
}

void RecallPlan::ChooseWanted() {
  const std::int32_t floor = FloorOfWanted();
  wanted_.clear();
  wanted_at_.clear();
  const std::size_t count = std::min(ring_.size(), pages_.size());
  if (count == 0) return;
  absl::InlinedVector<Rank, 64> candidates;
  for (std::size_t begin = 0; begin < smoothed_.size(); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, smoothed_.size());
    if (end - begin == kBlock && !AnyReaches(&smoothed_[begin], floor)) continue;
    for (std::size_t i = begin; i < end; ++i) {
      if (smoothed_[i] >= floor) candidates.push_back(RankOf(static_cast<std::uint32_t>(i)));
    }
  }
  auto best = candidates;
  std::nth_element(best.begin(), best.begin() + (count - 1), best.end(), std::greater<>());
  for (const Rank rank : candidates) {
    if (rank < best[count - 1]) continue;
    wanted_at_.push_back(0xffffffffU - static_cast<std::uint32_t>(rank));
    wanted_.push_back(PageAt(wanted_at_.back()));
  }
}

std::uint32_t RecallPlan::PageAt(std::uint32_t index) const {
  const auto slot = std::find(ring_at_.begin(), ring_at_.end(), index);
  return slot == ring_at_.end() ? pages_[index] : ring_[slot - ring_at_.begin()];
}

void RecallPlan::ChooseReplaceable() {
  struct Candidate {
    std::int64_t score;
    std::uint32_t page;
    int slot;
  };
  absl::InlinedVector<Candidate, 16> candidates;
  for (std::size_t slot = 0; slot < ring_.size(); ++slot) {
    const std::uint32_t at = ring_at_[slot];
    if (Contains(wanted_at_, at)) continue;
    candidates.push_back({at == kNowhere ? std::numeric_limits<std::int64_t>::min() : smoothed_[at],
                          ring_[slot], static_cast<int>(slot)});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.page != b.page ? a.page < b.page : a.slot > b.slot;
  });
  replaceable_.resize(candidates.size());
  std::transform(candidates.begin(), candidates.end(), replaceable_.begin(),
                 [](const Candidate& candidate) { return candidate.slot; });
}

}  // namespace pinboard::scheduler
