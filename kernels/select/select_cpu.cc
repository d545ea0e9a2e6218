// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/select/select.h"
#include "kernels/select/select_core.h"

namespace pinboard::kernels {
namespace {

absl::Status CheckArgs(const SelectArgs& args, std::size_t classes) {
  const std::size_t rows = args.keep_score.size();
  if (args.band_score.size() != rows || args.is_protected.size() != rows || classes != rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("Select: ", rows, " keep scores, ", args.band_score.size(), " band scores, ",
                     args.is_protected.size(), " protected flags and ", classes,
                     " classes: give one of each per row"));
  }
  if (rows > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    return absl::InvalidArgumentError("Select: more than 2^31 - 1 rows");
  }
  if (args.keep < 0 || args.near < 0 || args.far < 0) {
    return absl::InvalidArgumentError(absl::StrCat("Select: keep is ", args.keep, ", near ",
                                                   args.near, " and far ", args.far,
                                                   ": none may be negative"));
  }
  return absl::OkStatus();
}

/// Gives `to` to the `count` first of the rows still dropped, in the order of `score`.
void Promote(absl::Span<const std::int64_t> score, std::size_t count, RowClass to,
             absl::Span<RowClass> classes) {
  std::vector<ScoredRow> candidates;
  candidates.reserve(classes.size());
  for (std::size_t r = 0; r < classes.size(); ++r) {
    if (classes[r] == RowClass::kDropped) {
      candidates.push_back({score[r], static_cast<std::int32_t>(r)});
    }
  }
  if (count < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                     candidates.end(), Precedes);
    candidates.resize(count);
  }
  for (const ScoredRow& row : candidates) classes[row.row] = to;
}

}  // namespace

absl::Status Select(const SelectArgs& args, absl::Span<RowClass> classes) {
  PB_RETURN_IF_ERROR(CheckArgs(args, classes.size()));
  std::size_t protected_rows = 0;
  for (std::size_t r = 0; r < classes.size(); ++r) {
    const bool is_protected = args.is_protected[r] != 0;
    classes[r] = is_protected ? RowClass::kKept : RowClass::kDropped;
    protected_rows += is_protected ? 1 : 0;
  }
  const auto keep = static_cast<std::size_t>(args.keep);
  if (keep > protected_rows) {
    Promote(args.keep_score, keep - protected_rows, RowClass::kKept, classes);
  }
  if (args.near > 0) {
    Promote(args.keep_score, static_cast<std::size_t>(args.near), RowClass::kBorderline, classes);
  }
  if (args.far > 0) {
    Promote(args.band_score, static_cast<std::size_t>(args.far), RowClass::kBorderline, classes);
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
