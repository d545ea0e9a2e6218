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
  std::vector<NewPage> publish;     // in position order
  std::vector<std::size_t> fill;    // indices into publish, ascending: pages for ring slots
  std::vector<std::uint32_t> drop;  // existing pages that leave, ascending numbers
};

/// Packs `borderline` (ascending positions; its size is a multiple of kPageRows) into pages of
/// consecutive rows, then shrinks the band to `capacity_pages` by whole pages, lowest mean
/// information first, ties to the lower page number and existing before new; pinned pages stay.
/// Pure; the same input gives the same plan on every rank.
/// The `fill_pages` new pages of the highest mean (ties to the earlier one) are published whatever
/// the capacity: they go into ring slots.
BandPlan PlanBand(absl::Span<const BandPage> existing, absl::Span<const BorderlineRow> borderline,
                  int capacity_pages, int fill_pages = 0);

}  // namespace pinboard::scheduler
