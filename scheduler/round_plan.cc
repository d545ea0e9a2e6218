// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/round_plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/page.h"

namespace pinboard::scheduler {
namespace {

constexpr std::int64_t kBillion = 1'000'000'000;

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

int Blocks(std::int64_t rows, int block_size) {
  return static_cast<int>((rows + block_size - 1) / block_size);
}

int WholeBlocksOfPages(int pages, int block_size) {
  const int pages_per_block = block_size / kPageRows;
  return pages / pages_per_block * pages_per_block;
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
  return absl::OkStatus();
}

int WholeShare(double share, int count) {
  return static_cast<int>(Billionths(share) * count / kBillion);
}

RoundPlan PlanRound(const BudgetOptions& options, const SequenceSnapshot& sequence) {
  const int candidates = sequence.rows - sequence.ring_rows;
  const int keep = std::max(RoundedShare(options.budget, sequence.length), sequence.protected_rows);
  if (keep >= candidates) return KeepEverything(sequence);

  RoundPlan plan{.compress = true, .keep_rows = keep};
  if (options.offload) {
    plan.band_pages =
        std::min(WholePages(options.band, sequence.length), (sequence.length - keep) / kPageRows);
  }
  if (sequence.ring_rows > 0) {
    plan.ring_pages = sequence.ring_rows / kPageRows;
  } else {
    const int fillable = std::min(plan.band_pages, (candidates - keep) / kPageRows);
    plan.ring_pages =
        WholeBlocksOfPages(std::min(options.recall_pages, fillable), sequence.block_size);
  }
  const std::int64_t rows_after = std::int64_t{plan.ring_pages} * kPageRows + keep;
  const bool frees_a_block =
      Blocks(rows_after, sequence.block_size) < Blocks(sequence.rows, sequence.block_size);
  return frees_a_block ? plan : KeepEverything(sequence);
}

}  // namespace pinboard::scheduler
