// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which pages the ring should hold, step by step: one layer of one sequence.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace pinboard::scheduler {

/// What a page's score is made of: half of what it was and half of this step's, for pages that a
/// later step will see; this step's alone, for pages that it sees itself.
enum class Smoothing : std::uint8_t { kHalf, kNone };

/// A page that is to replace another in the ring.
struct Replacement {
  std::uint32_t page = 0;  // its number
  int ring_slot = 0;
};

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

  /// The band's live pages, ascending: the order of `scores` in Update and of the digests scored.
  const std::vector<std::uint32_t>& pages() const { return pages_; }
  /// Their mean information, fixed point: [pages().size()].
  const std::vector<std::int64_t>& mean_information() const { return mean_information_; }
  /// Page number in each ring slot.
  const std::vector<std::uint32_t>& ring() const { return ring_; }
  /// Pages being fetched, ascending: the order of the ready and miss bits.
  const std::vector<std::uint32_t>& in_flight() const { return in_flight_; }

  /// Takes in this step's merged scores [pages().size()] and returns the pages to start fetching
  /// now (ascending; at most `max_fetches`, best first where the cap binds). They are in flight
  /// from here on; fetches no longer wanted stay in flight until they resolve.
  std::vector<std::uint32_t> Update(absl::Span<const std::int32_t> scores, int max_fetches,
                                    Smoothing smoothing = Smoothing::kHalf);

  /// Resolves fetches. `ready`: pages that ALL ranks hold verified; `missed`: pages any rank missed
  /// (they are struck first). Returns the replacements to make visible at the next boundary, in
  /// ascending page numbers; a ready page that is no longer wanted is let go. Pages that are not in
  /// flight are ignored.
  std::vector<Replacement> Resolve(absl::Span<const std::uint32_t> ready,
                                   absl::Span<const std::uint32_t> missed);

 private:
  std::vector<std::uint32_t> WantedBestFirst() const;
  /// Ascending; of the last Update where the band is as it was then.
  const std::vector<std::uint32_t>& Wanted();
  bool IsResident(std::uint32_t page) const;
  /// Smoothed score, or below every score for a page that left the band.
  std::int64_t ScoreOf(std::uint32_t page) const;
  /// Slots whose page is not wanted, the first to be replaced first.
  std::vector<int> SlotsToReplace(absl::Span<const std::uint32_t> wanted) const;

  std::vector<std::uint32_t> pages_;
  std::vector<std::int64_t> mean_information_, smoothed_;  // parallel to pages_
  std::vector<std::uint32_t> ring_;
  std::vector<std::uint32_t> in_flight_;
  std::vector<std::uint32_t> wanted_;
  bool knows_wanted_ = false;
};

}  // namespace pinboard::scheduler
