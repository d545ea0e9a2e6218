// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which evicted rows become pages, and which pages leave the band.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/page.h"

namespace pinboard::scheduler {

/// A page already in the band, one layer.
struct BandPage {
  std::uint32_t page = 0;             // its number, PageKey::page
  std::int64_t mean_information = 0;  // fixed point, mean of its rows
  bool pinned = false;                // in the ring or on its way there: not dropped by this round
};

/// A row that Select called borderline.
struct BorderlineRow {
  std::int32_t row = 0;  // physical
  std::int32_t position = 0;
  std::int32_t information = 0;  // fixed point
};

struct NewPage {
  std::array<BorderlineRow, kPageRows> rows;  // ascending positions
  std::int64_t mean_information = 0;
};

struct BandPlan {
  std::vector<NewPage> publish;     // in packing order
  std::vector<std::size_t> fill;    // indices into publish, ascending: pages for ring slots
  std::vector<std::uint32_t> drop;  // existing pages that leave, ascending numbers
};

/// How many pages a round makes of `loose_rows` rows that are in no page, of a band of
/// `existing_pages` that may hold `capacity_pages`: as many as have room, and in a band that has
/// pages already one more, which competes with them for its place; at least `fill_pages`, for which
/// there are rows enough.
int NewPages(int capacity_pages, int existing_pages, int loose_rows, int fill_pages);

/// Rows, in the order of positions, within which pages are packed by information.
inline constexpr int kPackingStretch = 4 * kPageRows;

/// Packs `borderline` (ascending positions; its size is a multiple of kPageRows) into pages. Where
/// the band is empty, of consecutive rows: they have been chosen among many. Later, where a round
/// offloads nearly all that it evicts, of each kPackingStretch of them the sixteen most informative
/// rows make a page, then the next sixteen: what is uncertain stays or leaves together
/// (docs/adr/0007); ties to the earlier row, and a page's rows ascend.
///
/// Then shrinks the band to `capacity_pages` by whole pages, lowest mean information first, ties to
/// the lower page number and existing before new; pinned pages stay, and so do the `fill_pages` new
/// pages of the highest mean (ties to the earlier one), which go into ring slots. Pure; the same
/// input gives the same plan on every rank.
BandPlan PlanBand(absl::Span<const BandPage> existing, absl::Span<const BorderlineRow> borderline,
                  int capacity_pages, int fill_pages = 0);

}  // namespace pinboard::scheduler
