// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/top/request_quantile.h"

#include <algorithm>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace pinboard::app {
namespace {

struct Bucket {
  double bound_us = 0;      // infinite in the last
  std::uint64_t count = 0;  // within the bound
};

std::vector<Bucket> BucketsOf(const ServiceSample* before, const ServiceSample& now,
                              const std::string& operation) {
  const std::string prefix =
      absl::StrCat("pinboard_service_request_seconds_bucket{operation=\"", operation, "\",le=\"");
  std::vector<Bucket> buckets;
  for (const auto& entry : now.entries) {
    absl::string_view rest = entry.name;
    double seconds = 0;
    if (!absl::ConsumePrefix(&rest, prefix) || !absl::ConsumeSuffix(&rest, "\"}") ||
        !absl::SimpleAtod(rest, &seconds)) {
      continue;
    }
    const std::uint64_t earlier = before == nullptr ? 0 : ValueOf(*before, entry.name).value_or(0);
    // A service that was started again counts from 0.
    buckets.push_back({1e6 * seconds, entry.value - std::min(entry.value, earlier)});
  }
  return buckets;
}

}  // namespace

std::optional<double> RequestQuantileUs(const ServiceSample* before, const ServiceSample& now,
                                        const std::string& operation, double share) {
  const std::vector<Bucket> buckets = BucketsOf(before, now, operation);
  if (buckets.size() < 2 || buckets.back().count == 0) return std::nullopt;
  const double rank = share * static_cast<double>(buckets.back().count);
  Bucket low;
  for (std::size_t i = 0; i + 1 < buckets.size(); ++i) {
    const Bucket& high = buckets[i];
    if (static_cast<double>(high.count) >= rank) {
      return low.bound_us + (high.bound_us - low.bound_us) *
                                (rank - static_cast<double>(low.count)) /
                                static_cast<double>(high.count - low.count);
    }
    low = high;
  }
  return low.bound_us;
}

}  // namespace pinboard::app
