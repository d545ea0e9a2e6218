// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Three classes: what stays, what is offloaded, what is dropped.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard::kernels {

enum class RowClass : std::uint8_t { kDropped = 0, kBorderline = 1, kKept = 2 };

struct SelectArgs {
  absl::Span<const std::int64_t> keep_score;  // [rows]
  absl::Span<const std::int64_t> band_score;  // [rows]
  absl::Span<const std::uint8_t>
      is_protected;  // [rows]: non-zero rows are kept whatever their score
  int keep = 0;      // rows kept, protected ones included
  int near = 0;      // borderline rows that follow the kept ones by keep_score, at most
  int far = 0;       // borderline rows by band_score, at most, among the rest
};

/// Exactly max(keep, protected rows) rows are kept: the protected ones, then the highest
/// keep_score; of the others the `near` highest by keep_score are borderline, and of those left
/// over the `far` highest by band_score; the rest is dropped. Ties go to the lower index, so the
/// result is a function of the integers alone (a total order: sglang#24654).
absl::Status Select(const SelectArgs& args, absl::Span<RowClass> classes);

}  // namespace pinboard::kernels
