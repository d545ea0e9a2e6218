// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/server/tenant_metrics.h"

#include <cstdint>
#include <numeric>

namespace pinboard::cache_service {
namespace {

struct Series {
  const char* name;
  const char* help;
  bool counts;
  std::uint64_t (*value)(const ServiceCounts&);
};

using C = const ServiceCounts&;

template <typename Array>
std::uint64_t Sum(const Array& array) {
  return std::accumulate(array.begin(), array.end(), std::uint64_t{0});
}

const Series kSeries[] = {
    {"pinboard_service_tenant_quota_bytes", "Memory a tenant may have.", false,
     [](C c) { return c.arena_bytes; }},
    {"pinboard_service_tenant_segment_bytes", "Memory a tenant has, in segments.", false,
     [](C c) { return c.inventory.capacity_bytes; }},
    {"pinboard_service_tenant_used_bytes", "Memory in a tenant's slabs that are not free.", false,
     [](C c) { return c.inventory.used_bytes; }},
    {"pinboard_service_tenant_pages", "Pages of a tenant that can be fetched.", false,
     [](C c) { return c.inventory.published_pages; }},
    {"pinboard_service_tenant_extents", "Blocks of pages that a tenant's catalog keeps.", false,
     [](C c) { return c.inventory.extents; }},
    {"pinboard_service_tenant_clients", "A tenant's connected clients.", false,
     [](C c) { return c.clients; }},
    {"pinboard_service_tenant_lookups_total", "Pages looked up in a tenant's catalog.", true,
     [](C c) { return c.inventory.lookups_total; }},
    {"pinboard_service_tenant_misses_total", "Pages a tenant asked for that were not there.", true,
     [](C c) { return Sum(c.misses_total); }},
    {"pinboard_service_tenant_evictions_total", "Pages of a tenant that nobody had dropped.", true,
     [](C c) { return Sum(c.inventory.evictions_total); }},
    {"pinboard_service_tenant_refused_leases_total", "A tenant's leases that found no room.", true,
     [](C c) { return c.refused_leases_total; }},
    {"pinboard_service_tenant_refused_publishes_total",
     "A tenant's pages that needed an extent too many.", true,
     [](C c) { return c.inventory.refused_publishes_total; }},
};

}  // namespace

TenantMetrics::Handles& TenantMetrics::HandlesOf(const std::string& tenant) {
  const auto [found, is_new] = tenants_.try_emplace(tenant);
  Handles& handles = found->second;
  if (!is_new) return handles;
  const MetricLabels labels{{"tenant", tenant}};
  for (const Series& series : kSeries) {
    handles.gauges.push_back(series.counts ? nullptr
                                           : &registry_.AddGauge(series.name, series.help, labels));
    handles.counters.push_back(
        series.counts ? &registry_.AddCounter(series.name, series.help, labels) : nullptr);
  }
  return handles;
}

void TenantMetrics::Update(const std::string& tenant, const ServiceCounts& counts) {
  Handles& handles = HandlesOf(tenant);
  for (std::size_t i = 0; i < handles.gauges.size(); ++i) {
    const auto value = static_cast<double>(kSeries[i].value(counts));
    if (handles.gauges[i] != nullptr) {
      handles.gauges[i]->Set(value);
    } else {
      handles.counters[i]->Increment(value - handles.counters[i]->Value());
    }
  }
}

}  // namespace pinboard::cache_service
