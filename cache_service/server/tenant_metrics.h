// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What each tenant has and does, exported to Prometheus under its name.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/metrics.h"
#include "cache_service/server/service_metrics.h"

namespace pinboard::cache_service {

/// The series of pinboard_service_tenant_*, with the label tenant, made as tenants appear.
/// Thread-compatible.
class TenantMetrics {
 public:
  /// `registry` must outlive this.
  explicit TenantMetrics(MetricRegistry& registry) : registry_(registry) {}

  void Update(const std::string& tenant, const ServiceCounts& counts);

 private:
  struct Handles {
    std::vector<Gauge*> gauges;      // by series; null for a counter
    std::vector<Counter*> counters;  // by series; null for a gauge
  };
  Handles& HandlesOf(const std::string& tenant);

  MetricRegistry& registry_;
  absl::flat_hash_map<std::string, Handles> tenants_;
};

}  // namespace pinboard::cache_service
