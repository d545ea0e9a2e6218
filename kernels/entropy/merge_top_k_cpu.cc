// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/entropy/entropy_core.h"
#include "kernels/entropy/merge_top_k.h"

namespace pinboard::kernels {
namespace {

struct Candidate {
  float value;
  std::int32_t id;
};

/// Column -1 of a place without a candidate comes after all others.
std::uint64_t KeyOf(const Candidate& candidate) {
  return CandidateKey(candidate.value, static_cast<std::uint32_t>(candidate.id));
}

}  // namespace

absl::Status MergeTopK(absl::Span<const float> more_values, absl::Span<const std::int32_t> more_ids,
                       int tokens, int k, absl::Span<float> values, absl::Span<std::int32_t> ids) {
  const auto width = static_cast<std::size_t>(k);
  if (tokens < 0 || k <= 0 || values.size() != tokens * width || ids.size() != values.size() ||
      more_values.size() != values.size() || more_ids.size() != values.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("MergeTopK: ", more_values.size(), " values and ", more_ids.size(),
                     " ids into ", values.size(), " and ", ids.size(), " for ", tokens,
                     " tokens of ", k, ": k must be positive"));
  }
  std::vector<Candidate> merged(width);
  for (std::size_t token = 0; token < static_cast<std::size_t>(tokens); ++token) {
    std::size_t own = token * width;
    std::size_t more = own;
    for (Candidate& next : merged) {
      const Candidate first{values[own], ids[own]};
      const Candidate second{more_values[more], more_ids[more]};
      const bool takes_own = KeyOf(first) >= KeyOf(second);
      next = takes_own ? first : second;
      ++(takes_own ? own : more);
    }
    for (std::size_t i = 0; i < width; ++i) {
      values[token * width + i] = merged[i].value;
      ids[token * width + i] = merged[i].id;
    }
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
