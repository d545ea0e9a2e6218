// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/eviction_policy.h"

#include "absl/strings/str_cat.h"

namespace pinboard::cache_service {
namespace {

struct TimedPolicy {
  const char* name;
  const char* example;
  EvictionPolicyPtr (*make)(absl::Duration);
};
constexpr TimedPolicy kTimedPolicies[] = {
    {"aged-score", "aged-score:10m", AgedInformation},
    {"ttl", "ttl:1h", TimeToLive},
};

}  // namespace

absl::StatusOr<EvictionPolicyPtr> ParseEvictionPolicy(const std::string& text) {
  if (text == "lru") return LeastRecentlyUsed();
  if (text == "score") return LowestInformation();
  const std::size_t colon = text.find(':');
  for (const TimedPolicy& policy : kTimedPolicies) {
    if (text.substr(0, colon) != policy.name) continue;
    absl::Duration time;
    if (colon == std::string::npos || !absl::ParseDuration(text.substr(colon + 1), &time) ||
        time < absl::Seconds(1) || time > absl::Hours(24 * 365)) {
      return absl::InvalidArgumentError(absl::StrCat(
          policy.name, " needs a time from 1s to a year (8760h), as in ", policy.example));
    }
    return policy.make(time);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown policy \"", text, "\"; there are lru, score, aged-score:HALF_LIFE and ttl:TIME"));
}

}  // namespace pinboard::cache_service
