// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the service counts, exported to Prometheus and in the Stats message from one table.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "base/metrics.h"
#include "cache_service/access/refusal.h"
#include "cache_service/inventory/inventory.h"
#include "cache_service/protocol/messages.h"
#include "cache_service/replication/replication_counts.h"

namespace pinboard::cache_service {

/// Totals since the start, and what is there now.
struct ServiceCounts {
  InventoryCounts inventory;      // its capacity_bytes: of the segments that tenants have
  std::uint64_t arena_bytes = 0;  // what may be used
  std::uint64_t clients = 0;
  std::uint64_t lost_clients = 0;
  std::uint64_t parked_fetches = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t refused_connections_total = 0;  // broke the protocol, malformed messages included
  std::array<std::uint64_t, kRefusalReasons> refused_total{};  // those for reasons of access
  std::uint64_t unknown_members_total = 0;                     // turned away until they are known
  std::uint64_t refused_leases_total = 0;
  std::uint64_t pages_fetched_total = 0;
  std::uint64_t bytes_fetched_total = 0;
  std::array<std::uint64_t, kMissCauses> misses_total{};
  ReplicationCounts replication;
};

/// kTenant: without what is counted of all tenants together.
enum class CountScope : std::uint8_t { kService, kTenant };

/// The counts by name, as in docs/metrics.md.
std::vector<StatsEntry> DescribeCounts(const ServiceCounts& counts, CountScope scope);

/// How many messages of a kind the service worked on for how long: at most the i-th bound (above
/// the one before), and longer than all in the last.
inline constexpr std::array<std::uint32_t, 17> kRequestBoundsUs = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
using RequestTimes = std::array<std::uint64_t, kRequestBoundsUs.size() + 1>;

/// Handles of all pinboard_service_* metrics. Thread-compatible.
class ServiceMetrics {
 public:
  /// `registry` must outlive this.
  explicit ServiceMetrics(MetricRegistry& registry);

  void Update(const ServiceCounts& counts);
  /// "fetch", as in the label of its histogram, or "other" for a message without one.
  const char* OperationOf(MessageType type) const;
  /// How long the service worked on one message.
  void ObserveRequest(MessageType type, absl::Duration time);
  /// The histogram for the Stats message: cumulative counts, named as Prometheus names them.
  std::vector<StatsEntry> DescribeRequests() const;

 private:
  std::vector<Gauge*> gauges_;      // by series; null for a counter
  std::vector<Counter*> counters_;  // by series; null for a gauge
  struct Requests {
    const char* operation = nullptr;
    Histogram* seconds = nullptr;
    RequestTimes times{};
  };
  absl::btree_map<MessageType, Requests> requests_;
};

}  // namespace pinboard::cache_service
