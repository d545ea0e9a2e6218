// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/recall_plan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <functional>
#include <limits>
#include <utility>

namespace pinboard::scheduler {
namespace {

bool Contains(absl::Span<const std::uint32_t> pages, std::uint32_t page) {
  return std::find(pages.begin(), pages.end(), page) != pages.end();
}

static_assert(std::endian::native == std::endian::little, "bytes are taken as they lie");
/// Bit i: block[i], of 8 values, is at least `floor`. Without a branch: the bytes of eight
/// comparisons, each 0 or 1, and a product that has their sum by places in its highest byte.
std::uint64_t WhichReach(const std::int32_t* block, std::int32_t floor) {
  std::array<std::uint8_t, 8> reaches;
  for (std::size_t i = 0; i < reaches.size(); ++i) reaches[i] = block[i] >= floor ? 1 : 0;
  return (std::bit_cast<std::uint64_t>(reaches) * 0x0102040810204080U) >> 56U;
}

/// False where it was not there.
bool EraseFrom(PageList& ascending, std::uint32_t page) {
  const auto at = std::lower_bound(ascending.begin(), ascending.end(), page);
  if (at == ascending.end() || *at != page) return false;
  ascending.erase(at);
  return true;
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

void RecallPlan::PrefetchScores() const {
  constexpr std::size_t kLine = 64 / sizeof(std::int32_t);
  for (std::size_t i = 0; i < smoothed_.size(); i += kLine) __builtin_prefetch(&smoothed_[i], 1);
}

void RecallPlan::PrefetchFetch() const {
  if (!knows_) return;
  wanted_.ForEachNotIn(held_, [this](std::uint32_t at) { __builtin_prefetch(&pages_[at]); });
}

void RecallPlan::TakeIn(absl::Span<const std::int32_t> scores, Smoothing smoothing) {
  Smooth(scores, smoothing);
  Know();
}

PageList RecallPlan::Fetch(int max_fetches) {
  PageList fetches;  // places first
  wanted_.ForEachNotIn(held_, [&](std::uint32_t at) { fetches.push_back(at); });
  const auto most = static_cast<std::size_t>(std::max(max_fetches, 0));
  if (fetches.size() > most) {
    std::sort(fetches.begin(), fetches.end(),
              [this](std::uint32_t a, std::uint32_t b) { return RankOf(a) > RankOf(b); });
    fetches.resize(most);
    std::sort(fetches.begin(), fetches.end());
  }
  for (std::uint32_t& page : fetches) {
    const std::uint32_t at = std::exchange(page, pages_[page]);
    held_.Add(at);
    const auto before = std::lower_bound(in_flight_.begin(), in_flight_.end(), page);
    in_flight_at_.insert(in_flight_at_.begin() + (before - in_flight_.begin()), at);
    in_flight_.insert(before, page);
  }
  return fetches;
}

Replacements RecallPlan::Resolve(absl::Span<const std::uint32_t> ready,
                                 absl::Span<const std::uint32_t> missed) {
  for (const std::uint32_t page : missed) {
    if (!EraseFrom(in_flight_, page)) continue;
    Remove(page);
    knows_ = false;
  }
  if (ready.empty()) return {};
  if (!knows_) Know();
  Replacements replacements;
  std::size_t staying = 0;
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    const std::uint32_t page = in_flight_[i], at = in_flight_at_[i];
    if (!Contains(ready, page)) {
      in_flight_[staying] = page;
      in_flight_at_[staying++] = at;
    } else if (at != kNowhere && wanted_.Has(at)) {
      const int slot = SlotToReplace();
      if (ring_at_[slot] != kNowhere) held_.Remove(ring_at_[slot]);
      ring_[slot] = page;
      ring_at_[slot] = at;
      replacements.push_back({page, slot});
    } else if (at != kNowhere) {
      held_.Remove(at);
    }
  }
  in_flight_.resize(staying);
  in_flight_at_.resize(staying);
  return replacements;
}

void RecallPlan::Know() {
  if (!knows_) FindPlaces();
  ChooseWanted();
  knows_ = true;
}

void RecallPlan::FindPlaces() {
  held_.Clear(pages_.size());
  const auto find = [this](const PageList& pages, PageList* places) {
    places->clear();
    for (const std::uint32_t page : pages) {
      const auto found = std::lower_bound(pages_.begin(), pages_.end(), page);
      const bool is_there = found != pages_.end() && *found == page;
      places->push_back(is_there ? static_cast<std::uint32_t>(found - pages_.begin()) : kNowhere);
      if (is_there) held_.Add(places->back());
    }
  };
  find(ring_, &ring_at_);
  find(in_flight_, &in_flight_at_);
}

RecallPlan::Rank RecallPlan::RankOf(std::uint32_t at) const {
  return Rank{smoothed_[at]} * (Rank{1} << 32) + (0xffffffffU - at);
}

std::int32_t RecallPlan::FloorOfWanted() const {
  if (!knows_) return std::numeric_limits<std::int32_t>::min();
  std::int32_t floor = std::numeric_limits<std::int32_t>::max();
  wanted_.ForEach([&](std::uint32_t at) { floor = std::min(floor, smoothed_[at]); });
  return floor;
}

void RecallPlan::ChooseWanted() {
  const std::int32_t floor = FloorOfWanted();
  wanted_.Clear(pages_.size());
  const std::size_t count = std::min(ring_.size(), pages_.size());
  if (count == 0) return;
  constexpr std::size_t kBlock = 8, kTogether = 64;
  std::size_t at = 0;
  for (; at + kTogether <= smoothed_.size(); at += kTogether) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < kTogether; i += kBlock) {
      bits |= WhichReach(&smoothed_[at + i], floor) << i;
    }
    wanted_.AddBits(at, bits);
  }
  for (; at < smoothed_.size(); ++at) wanted_.AddBits(at, smoothed_[at] >= floor ? 1 : 0);
  if (wanted_.size() > count) KeepBest(count);
}

void RecallPlan::KeepBest(std::size_t count) {
  absl::InlinedVector<Rank, 64> ranks;
  wanted_.ForEach([&](std::uint32_t at) { ranks.push_back(RankOf(at)); });
  const auto last = ranks.begin() + static_cast<std::ptrdiff_t>(count) - 1;
  std::nth_element(ranks.begin(), last, ranks.end(), std::greater<>());
  for (auto rank = last + 1; rank != ranks.end(); ++rank) {
    wanted_.Remove(0xffffffffU - static_cast<std::uint32_t>(*rank));
  }
}

int RecallPlan::SlotToReplace() const {
  struct Candidate {
    std::int64_t score = std::numeric_limits<std::int64_t>::max();
    std::uint32_t page = 0;
    int slot = 0;
  } next;
  for (std::size_t slot = 0; slot < ring_.size(); ++slot) {
    const std::uint32_t at = ring_at_[slot];
    if (at != kNowhere && wanted_.Has(at)) continue;
    const std::int64_t score =
        at == kNowhere ? std::numeric_limits<std::int64_t>::min() : smoothed_[at];
    if (score > next.score || (score == next.score && ring_[slot] <= next.page)) continue;
    next = {score, ring_[slot], static_cast<int>(slot)};
  }
  return next.slot;
}

}  // namespace pinboard::scheduler
