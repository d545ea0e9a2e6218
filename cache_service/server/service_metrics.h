// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the service counts, exported to Prometheus and in the Stats message from one table.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/metrics.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// Totals since the start, and what is there now.
struct ServiceCounts {
  InventoryCounts inventory;
  std::uint64_t clients = 0;
  std::uint64_t parked_fetches = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t refused_connections_total = 0;  // broke the protocol, malformed messages included
  std::uint64_t refused_leases_total = 0;
  std::uint64_t pages_fetched_total = 0;
  std::uint64_t bytes_fetched_total = 0;
  std::array<std::uint64_t, kMissCauses> misses_total{};
};

/// The counts by name, as in docs/metrics.md.
std::vector<StatsEntry> DescribeCounts(const ServiceCounts& counts);

/// Handles of all pinboard_service_* metrics. Thread-compatible.
class ServiceMetrics {
 public:
  /// `registry` must outlive this.
  explicit ServiceMetrics(MetricRegistry& registry);

  void Update(const ServiceCounts& counts);
  /// How long the service worked on one message.
  void ObserveRequest(MessageType type, absl::Duration time);

 private:
  std::vector<Gauge*> gauges_;      // by series; null for a counter
  std::vector<Counter*> counters_;  // by series; null for a gauge
  absl::flat_hash_map<MessageType, Histogram*> request_seconds_;
};

}  // namespace pinboard::cache_service
