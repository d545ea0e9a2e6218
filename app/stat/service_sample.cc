// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/stat/service_sample.h"

#include <algorithm>

namespace pinboard::app {

std::optional<std::uint64_t> ValueOf(const ServiceSample& sample, absl::string_view name) {
  const auto found = std::find_if(sample.entries.begin(), sample.entries.end(),
                                  [&](const auto& entry) { return entry.name == name; });
  if (found == sample.entries.end()) return std::nullopt;
  return found->value;
}

std::optional<double> RateOf(const ServiceSample* before, const ServiceSample& now,
                             absl::string_view name) {
  if (before == nullptr || now.time <= before->time) return std::nullopt;
  const auto first = ValueOf(*before, name);
  const auto last = ValueOf(now, name);
  if (!first || !last) return std::nullopt;
  return (static_cast<double>(*last) - static_cast<double>(*first)) /
         absl::ToDoubleSeconds(now.time - before->time);
}

}  // namespace pinboard::app
