// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/round_plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/page.h"
#include "pinboard/kv_layout.h"

namespace pinboard::scheduler {
namespace {

constexpr std::int64_t kBillion = 1'000'000'000;
constexpr int kMaxCap = 1 << 24;

/// Shares are taken in billionths, so that 0.1 of 4095 is the same integer on every machine.
std::int64_t Billionths(double share) {
  return std::llround(share * static_cast<double>(kBillion));
}

int RoundedShare(double share, int length) {
  return static_cast<int>((Billionths(share) * length + kBillion / 2) / kBillion);
}

int WholePages(double share, int length) {
  return static_cast<int>(Billionths(share) * length / (kBillion * kPageRows));
}

int WholeBlocksOfPages(int pages, int block_size) {
  const int pages_per_block = block_size / kPageRows;
  return pages / pages_per_block * pages_per_block;
}

int RowsAllowed(const BudgetOptions& options, const SequenceSnapshot& sequence) {
  if (options.cap > 0) return options.cap;
  if (!options.of_generated) return RoundedShare(options.budget, sequence.length);
  return sequence.prompt_rows +
         RoundedShare(options.budget, sequence.length - sequence.prompt_rows);
}

RoundPlan KeepEverything(const SequenceSnapshot& sequence) {
  return {.compress = false,
          .keep_rows = sequence.rows - sequence.ring_rows,
          .band_pages = 0,
          .ring_pages = sequence.ring_rows / kPageRows};
}

}  // namespace

absl::Status Validate(const BudgetOptions& options) {
  if (!(options.budget > 0.0 && options.budget <= 1.0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "budget is ", options.budget, ": it must lie in (0, 1], a share of the sequence's length"));
  }
  if (!(options.band >= 0.0 && options.band <= 1.0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "band is ", options.band, ": it must lie in [0, 1], a share of the sequence's length"));
  }
  if (options.recall_pages < 0 || options.recall_pages > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("recall_pages is ", options.recall_pages, ": it must lie in [0, 1024]"));
  }
  if (options.cap < 0 || options.cap > kMaxCap) {
    return absl::InvalidArgumentError(
        absl::StrCat("cap is ", options.cap, ": it must lie in [0, ", kMaxCap, "] rows"));
  }
  return absl::OkStatus();
}

int WholeShare(double share, int count) {
  return static_cast<int>(Billionths(share) * count / kBillion);
}

int KeepRows(const BudgetOptions& options, const SequenceSnapshot& sequence) {
  return std::max(RowsAllowed(options, sequence), sequence.protected_rows);
}

RoundPlan PlanRound(const BudgetOptions& options, const SequenceSnapshot& sequence) {
  return PlanRound(options, sequence, KeepRows(options, sequence));
}

RoundPlan PlanRound(const BudgetOptions& options, const SequenceSnapshot& sequence, int keep_rows) {
  const int candidates = sequence.rows - sequence.ring_rows;
  if (keep_rows >= candidates) return KeepEverything(sequence);

  RoundPlan plan{.compress = true, .keep_rows = keep_rows};
  if (options.offload) {
    plan.band_pages = std::min(WholePages(options.band, sequence.length),
                               (sequence.length - keep_rows) / kPageRows);
  }
  const int ring_now = sequence.ring_rows / kPageRows;
  const int fillable = std::min(plan.band_pages, ring_now + (candidates - keep_rows) / kPageRows);
  const int freeing =
      (BlocksFor(sequence.rows, sequence.block_size) - 1) * sequence.block_size - keep_rows;
  if (freeing < sequence.ring_rows) return KeepEverything(sequence);
  plan.ring_pages = std::max(
      ring_now, WholeBlocksOfPages(std::min({options.recall_pages, fillable, freeing / kPageRows}),
                                   sequence.block_size));
  return plan;
}

}  // namespace pinboard::scheduler
