// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a service counted at one moment, and how fast it grew since another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::app {

struct ServiceSample {
  std::string service;  // HOST:PORT
  absl::Time time;
  std::vector<cache_service::StatsEntry> entries;  // docs/metrics.md names them
};

/// Nothing where the service does not tell it: another version may not.
std::optional<std::uint64_t> ValueOf(const ServiceSample& sample, absl::string_view name);

/// Growth of the counter `name` per second. Nothing without an earlier sample (`before` null), or
/// where one of the two has no such counter.
std::optional<double> RateOf(const ServiceSample* before, const ServiceSample& now,
                             absl::string_view name);

}  // namespace pinboard::app
