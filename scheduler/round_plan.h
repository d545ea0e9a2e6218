// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How many rows a round keeps, offloads and holds ready for recall: counts only, no scores.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace pinboard::scheduler {

/// What a user sets.
struct BudgetOptions {
  double budget = 0.1;  // (0, 1]: kept rows as a share of the sequence's length so far
  double band = 0.4;    // [0, 1]: borderline rows as a share of the length; 0: nothing is offloaded
  int recall_pages = 16;  // [0, 1024]: ring size in pages per layer and sequence
  bool offload = true;    // false (no service): no band, no ring
  bool of_generated =
      false;    // the budget is a share of what follows the prompt, which stays beside
  int cap = 0;  // kept rows, whatever the length; 0: the budget decides
};

/// InvalidArgument, one line, naming the option and its range.
absl::Status Validate(const BudgetOptions& options);

/// floor(share x count), the share in billionths: the same integer on every machine. `share` lies
/// in [0, 1].
int WholeShare(double share, int count);

/// A sequence as a round finds it, in one layer.
struct SequenceSnapshot {
  int length = 0;          // positions so far
  int rows = 0;            // physical rows now, the ring's included
  int ring_rows = 0;       // at the head, 0 before the first round
  int prompt_rows = 0;     // of the length
  int protected_rows = 0;  // sinks, recent window and, where the policy says so, the prompt
  int block_size = 16;
};

/// What a round will do with it. `compress` false: nothing is gained, keep everything.
struct RoundPlan {
  bool compress = false;
  int keep_rows = 0;   // kept rows outside the ring
  int band_pages = 0;  // capacity of the band, whole pages
  int ring_pages = 0;  // of the ring after this round; whole blocks
};

/// Rows to keep: max(cap, or else round(budget * length), protected).
int KeepRows(const BudgetOptions& options, const SequenceSnapshot& sequence);

/// Of a layer that is to keep `keep_rows` rows outside the ring: band = floor(band * length / 16)
/// pages, at most what is evicted. The ring grows towards recall_pages as far as the band and what
/// this round evicts can fill it and a block is still freed; it never shrinks. Plans no compression
/// where no block would be freed.
RoundPlan PlanRound(const BudgetOptions& options, const SequenceSnapshot& sequence, int keep_rows);
/// The same with KeepRows.
RoundPlan PlanRound(const BudgetOptions& options, const SequenceSnapshot& sequence);

}  // namespace pinboard::scheduler
