// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace pinboard::app {
namespace {

constexpr double kMaxTemperature = 100.0;

}  // namespace

int MaxTopK() { return ShardOptions().top_k; }

absl::Status CheckSampling(const SamplingOptions& options) {
  if (!(options.temperature >= 0 && options.temperature <= kMaxTemperature)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--temperature is ", options.temperature, ": use 0 (the best token) to ", kMaxTemperature));
  }
  if (options.top_k < 1 || options.top_k > MaxTopK()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--top-k is ", options.top_k, ": use 1 to ", MaxTopK()));
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--top-p is ", options.top_p, ": use a share in (0, 1]"));
  }
  const SamplingOptions unset;
  const bool drawn = options.temperature > 0;
  if (!drawn && (options.top_k != unset.top_k || options.top_p != unset.top_p ||
                 options.seed != unset.seed)) {
    return absl::InvalidArgumentError(
        "--top-k, --top-p and --seed are for sampling: give a --temperature above 0, too");
  }
  return absl::OkStatus();
}

std::int32_t Sampler::Next(absl::Span<const TokenCandidate> candidates) {
  if (options_.temperature == 0) return candidates.front().id;
  candidates =
      candidates.first(std::min(candidates.size(), static_cast<std::size_t>(options_.top_k)));
  weights_.clear();
  for (const TokenCandidate& candidate : candidates) {
    const double below = static_cast<double>(candidate.logit) - candidates.front().logit;
    weights_.push_back(std::exp(below / options_.temperature));
  }
  const double enough = options_.top_p * std::accumulate(weights_.begin(), weights_.end(), 0.0);
  std::size_t kept = 0;
  double share = 0;
  while (kept < weights_.size() && share < enough) share += weights_[kept++];
  double point = static_cast<double>(random_() >> 11) * 0x1p-53 * share;
  for (std::size_t i = 0; i + 1 < kept; ++i) {
    if (point < weights_[i]) return candidates[i].id;
    point -= weights_[i];
  }
  return candidates[std::max<std::size_t>(kept, 1) - 1].id;
}

}  // namespace pinboard::app
