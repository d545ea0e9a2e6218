// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/full_entropy/full_entropy.h"
#include "kernels/full_entropy/full_entropy_core.h"

namespace pinboard::kernels {
namespace {

absl::Status CheckSizes(absl::string_view what, std::size_t given, std::int64_t expected) {
  if (expected >= 0 && given == static_cast<std::size_t>(expected)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": ", given, " values where the shape needs ", expected));
}

EntropyPart PartOf(absl::Span<const float> row) {
  EntropyPart part{std::numeric_limits<float>::lowest(), 0.0, 0.0};
  for (const float logit : row) part.largest = std::max(part.largest, static_cast<double>(logit));
  for (const float logit : row) {
    const double below = logit - part.largest;
    const double weight = Exp(below);
    part.sum += weight;
    if (weight != 0.0) part.weighted += weight * below;
  }
  return part;
}

}  // namespace

absl::Status EntropyParts(absl::Span<const float> logits, int tokens, int vocab_local,
                          absl::Span<EntropyPart> parts) {
  PB_RETURN_IF_ERROR(
      CheckSizes("EntropyParts, logits", logits.size(), std::int64_t{tokens} * vocab_local));
  PB_RETURN_IF_ERROR(CheckSizes("EntropyParts, parts", parts.size(), tokens));
  for (int t = 0; t < tokens; ++t) {
    const auto width = static_cast<std::size_t>(vocab_local);
    parts[t] = PartOf(logits.subspan(t * width, width));
  }
  return absl::OkStatus();
}

absl::Status JoinedEntropy(absl::Span<const EntropyPart> parts, int ranks, int tokens,
                           absl::Span<float> entropy) {
  PB_RETURN_IF_ERROR(
      CheckSizes("JoinedEntropy, parts", parts.size(), std::int64_t{ranks} * tokens));
  PB_RETURN_IF_ERROR(CheckSizes("JoinedEntropy, entropy", entropy.size(), tokens));
  for (int t = 0; t < tokens; ++t) {
    EntropyPart all{0.0, 0.0, 0.0};
    for (int rank = 0; rank < ranks; ++rank) all = Joined(all, parts[rank * tokens + t]);
    if (!(all.sum > 0.0)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "JoinedEntropy: token ", t, " has no finite logit, or one that is NaN or infinite"));
    }
    entropy[t] = static_cast<float>(EntropyOf(all));
  }
  return absl::OkStatus();
}

}  // namespace pinboard::kernels
