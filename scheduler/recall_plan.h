// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which pages the ring should hold, step by step: one layer of one sequence.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "scheduler/page_set.h"

namespace pinboard::scheduler {

/// What a page's score is made of: half of what it was and half of this step's, for pages that a
/// later step will see; this step's alone, for pages that it sees itself.
enum class Smoothing : std::uint8_t { kHalf, kNone };

/// A page that is to replace another in the ring.
struct Replacement {
  std::uint32_t page = 0;  // its number
  int ring_slot = 0;
};

/// About as many as a ring has slots: their memory is the plan's own, since a step goes through all
/// the rings there are.
using PageList = absl::InlinedVector<std::uint32_t, 16>;
using Replacements = absl::InlinedVector<Replacement, 16>;

/// State machine of one layer's ring. A value type: pure, copyable, the same on every rank because
/// all its inputs are merged integers.
///
/// A page is resident (in a ring slot), wanted (being fetched), or absent. Scores are smoothed
/// where asked for: s <- s/2 + new/2, in integers (EMA 0.5). After each step the ring's capacity of
/// highest s, ties to the lower page number, is the wanted set; wanted pages that are not resident
/// are fetched; a fetched page takes the slot of the resident page with the lowest s that is not
/// wanted (ties to the higher number). A slot that was never filled goes first, then pages that
/// were struck.
class RecallPlan {
 public:
  /// In ring(): a slot that was never filled. No page has this number.
  static constexpr std::uint32_t kEmptySlot = 0xffffffffU;

  explicit RecallPlan(int ring_pages = 0);

  int ring_pages() const { return static_cast<int>(ring_.size()); }

  /// A page joins the band with score 0 (or leaves it: struck after a miss, or dropped). A page
  /// that is struck while resident stays in its slot until replaced: its rows are valid.
  void Add(std::uint32_t page, std::int64_t mean_information = 0);
  void Remove(std::uint32_t page);

  /// Adds slots, never filled, to the ring; nothing where it has as many.
  void GrowRing(int ring_pages);

  /// Fills a ring slot outside of the recall path (in a round).
  void Place(std::uint32_t page, int ring_slot);

  /// The band's live pages, ascending: the order of `scores` in TakeIn and of the digests scored.
  const std::vector<std::uint32_t>& pages() const { return pages_; }
  /// Their mean information, fixed point: [pages().size()].
  const std::vector<std::int64_t>& mean_information() const { return mean_information_; }
  /// Page number in each ring slot.
  const PageList& ring() const { return ring_; }
  /// Pages being fetched, ascending: the order of the ready and miss bits.
  const PageList& in_flight() const { return in_flight_; }

  /// Takes in this step's merged scores [pages().size()]: what the ring should hold by them.
  void TakeIn(absl::Span<const std::int32_t> scores, Smoothing smoothing = Smoothing::kHalf);
  /// The pages of that to start fetching now (ascending; at most `max_fetches`, best first where
  /// the cap binds). They are in flight from here on; fetches no longer wanted stay in flight until
  /// they resolve.
  PageList Fetch(int max_fetches);

  /// Has what TakeIn will read of a band brought closer, for whoever goes through many plans: its
  /// scores, in the order of `scores`.
  void PrefetchScores() const;
  /// The same of what Fetch will read, once scores have been taken in.
  void PrefetchFetch() const;

  /// Resolves fetches. `ready`: pages that ALL ranks hold verified; `missed`: pages any rank missed
  /// (they are struck first). Returns the replacements to make visible at the next boundary, in
  /// ascending page numbers; a ready page that is no longer wanted is let go. Pages that are not in
  /// flight are ignored.
  Replacements Resolve(absl::Span<const std::uint32_t> ready,
                       absl::Span<const std::uint32_t> missed);

 private:
  /// In ring_at_ and in_flight_at_: the page has left the band, or the slot was never filled.
  static constexpr std::uint32_t kNowhere = 0xffffffffU;

  /// Of a page among all others by s, ties to the lower number: higher is better.
  using Rank = std::int64_t;
  Rank RankOf(std::uint32_t at) const;

  void Smooth(absl::Span<const std::int32_t> scores, Smoothing smoothing);
  /// After a change of band, ring or scores: what follows from them.
  void Know();
  void FindPlaces();
  void ChooseWanted();
  /// A score that no page of the wanted set is below: what was wanted last is mostly wanted still,
  /// so few others have to be looked at.
  std::int32_t FloorOfWanted() const;
  /// Only the best `count` of wanted_ stay.
  void KeepBest(std::size_t count);
  /// The slot that goes next. One of them holds no wanted page.
  int SlotToReplace() const;

  std::vector<std::uint32_t> pages_;
  std::vector<std::int64_t> mean_information_;  // parallel to pages_, as is smoothed_
  std::vector<std::int32_t> smoothed_;
  PageList ring_;
  PageList in_flight_;
  // Places in pages_, known since the last TakeIn or Resolve, unless band or ring have been
  // changed:
  bool knows_ = false;
  PageList ring_at_, in_flight_at_;  // parallel to ring_, in_flight_
  PageSet held_;                     // resident or in flight
  PageSet wanted_;
};

}  // namespace pinboard::scheduler
