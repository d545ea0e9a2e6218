// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/entropy/entropy.h"
#include "kernels/entropy/entropy_core.h"

namespace pinboard::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

absl::Status CheckSize(absl::string_view what, std::size_t size, std::size_t expected) {
  if (size == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": ", size, " values where the shape needs ", expected));
}

/// Keys of all columns of a row, the `keys` first in descending order. False where one is NaN.
bool RankRow(absl::Span<const float> row, std::size_t first, std::vector<std::uint64_t>& keys) {
  bool ordered = true;
  for (std::size_t c = 0; c < row.size(); ++c) {
    ordered &= row[c] == row[c];
    keys[c] = CandidateKey(row[c], static_cast<std::uint32_t>(c));
  }
  const auto end = keys.begin() + static_cast<std::ptrdiff_t>(first);
  if (end != keys.end()) std::nth_element(keys.begin(), end, keys.end(), std::greater<>());
  std::sort(keys.begin(), end, std::greater<>());
  return ordered;
}

}  // namespace

absl::Status TopKLogits(absl::Span<const float> logits, int tokens, int vocab_local,
                        int vocab_begin, int k, absl::Span<float> values,
                        absl::Span<std::int32_t> ids) {
  if (tokens < 0 || vocab_local < 0 || vocab_begin < 0 || k <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("TopKLogits: the ", k, " largest of ",
                                                   vocab_local, " logits of ", tokens,
                                                   " tokens: k must be positive"));
  }
  const auto width = static_cast<std::size_t>(vocab_local);
  const auto candidates = static_cast<std::size_t>(k);
  PB_RETURN_IF_ERROR(CheckSize("TopKLogits, logits", logits.size(), tokens * width));
  PB_RETURN_IF_ERROR(CheckSize("TopKLogits, values", values.size(), tokens * candidates));
  PB_RETURN_IF_ERROR(CheckSize("TopKLogits, ids", ids.size(), tokens * candidates));

  const std::size_t present = std::min(width, candidates);
  std::vector<std::uint64_t> keys(width);
  for (int t = 0; t < tokens; ++t) {
    const auto row = logits.subspan(t * width, width);
    if (!RankRow(row, present, keys)) {
      return absl::InvalidArgumentError(
          absl::StrCat("TopKLogits: a logit of token ", t, " is NaN"));
    }
    const auto row_values = values.subspan(t * candidates, candidates);
    const auto row_ids = ids.subspan(t * candidates, candidates);
    for (std::size_t i = 0; i < present; ++i) {
      const std::uint32_t column = CandidateColumn(keys[i]);
      row_values[i] = row[column];
      row_ids[i] = vocab_begin + static_cast<std::int32_t>(column);
    }
    std::fill(row_values.begin() + static_cast<std::ptrdiff_t>(present), row_values.end(),
              kMinusInfinity);
    std::fill(row_ids.begin() + static_cast<std::ptrdiff_t>(present), row_ids.end(), -1);
  }
  return absl::OkStatus();
}

absl::Status MergedEntropy(absl::Span<const float> values, int parts, int tokens, int k,
                           EntropyUnit unit, absl::Span<float> entropy) {
  if (parts <= 0 || tokens < 0 || k <= 0 || (unit == EntropyUnit::kOverLogK && k == 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("MergedEntropy: ", parts, " parts, ", tokens, " tokens, k ", k,
                     ": parts and k must be positive, and k above 1 to divide by ln k"));
  }
  const auto candidates = static_cast<std::size_t>(k);
  const auto part = tokens * candidates;
  PB_RETURN_IF_ERROR(CheckSize("MergedEntropy, values", values.size(), parts * part));
  PB_RETURN_IF_ERROR(CheckSize("MergedEntropy, entropy", entropy.size(), tokens));

  const double divisor = unit == EntropyUnit::kOverLogK ? Log(k) : 1.0;
  std::vector<float> merged(parts * candidates);
  for (int t = 0; t < tokens; ++t) {
    for (int p = 0; p < parts; ++p) {
      const auto from = values.subspan(p * part + t * candidates, candidates);
      std::copy(from.begin(), from.end(), merged.begin() + p * k);
    }
    if (std::any_of(merged.begin(), merged.end(), [](float x) { return std::isnan(x); })) {
      return absl::InvalidArgumentError(
          absl::StrCat("MergedEntropy: a logit of token ", t, " is NaN"));
    }
    std::partial_sort(merged.begin(), merged.begin() + k, merged.end(), std::greater<>());
    if (!std::isfinite(merged[0])) {
      return absl::InvalidArgumentError(
          absl::StrCat("MergedEntropy: token ", t, " has no finite logit, or an infinite one"));
    }
    entropy[t] = static_cast<float>(EntropyOfDescending(merged.data(), k) / divisor);
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
