// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/eviction_policy.h"

#include <algorithm>
#include <cmath>

namespace pinboard::cache_service {
namespace {

/// All pages age alike, so their order never changes between uses: the logarithm of the aged value,
/// log2(E) - (now - last_used) / half_life, differs from log2(E) + last_used / half_life by what
/// is the same for all.
class AgedInformationPolicy final : public EvictionPolicy {
 public:
  explicit AgedInformationPolicy(absl::Duration half_life)
      : half_life_ns_(absl::ToDoubleNanoseconds(half_life)) {}

  std::int64_t Value(const EvictionCandidate& page) const override {
    const double information = std::max(page.mean_information, 1);
    const double half_lives = static_cast<double>(page.last_used_ns) / half_life_ns_;
    return std::llround((std::log2(information) + half_lives) * kUnit);
  }

 private:
  // With half-lives of a second, times until the year 2500 fit into 34 bits.
  static constexpr double kUnit = 1 << 24;
  const double half_life_ns_;
};

}  // namespace

EvictionPolicyPtr AgedInformation(absl::Duration half_life) {
  return std::make_shared<AgedInformationPolicy>(half_life);
}

}  // namespace pinboard::cache_service
