// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which of a layer's rows stay, which become pages, and which pages leave.
#pragma once

#include "shard/operations/operations.h"
#include "shard/round_rows.h"

namespace pinboard {

/// The rows of class kKept go to the layer's plan, and the ring slots whose pages are retired for
/// them. Leaves marks on the rows that are kept or in a page that stays.
void TakeKept(RoundRows& rows, const RowsOfLayer& layer);

/// How many of the rows that are neither kept nor in a page, which bear no mark in `rows`, are to
/// be packed. Writes the layer's existing pages, and in its plan the slots that are new. At least a
/// page for each slot of the ring that gets one: a retired page leaves 16 rows, of which some are
/// kept, and for each of those another row is not; the ring grows by no more than is evicted
/// besides.
RowsToSelect CountBorderline(RoundRows& rows, RowsOfLayer* layer);

/// Packs the rows of class kBorderline and plans the band.
void PackPages(RoundRows& rows, const RowsOfLayer& layer);

}  // namespace pinboard
