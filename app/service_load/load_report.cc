// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/service_load/load_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "app/report/text_table.h"

namespace pinboard::app {
namespace {

using Json = nlohmann::ordered_json;

struct Quantile {
  const char* name;
  double share;
};
constexpr Quantile kQuantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

double PerSecond(std::uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

/// What one client moves while it does nothing else.
double BytesPerBusySecond(const OperationCounts& counts) {
  return PerSecond(counts.bytes, counts.busy_seconds);
}

TextRow RowOf(const char* name, const OperationCounts& counts, double seconds) {
  TextRow row = {name, absl::StrFormat("%.0f", PerSecond(counts.latency_us.size(), seconds)),
                 absl::StrFormat("%.0f", PerSecond(counts.pages, seconds)),
                 absl::StrFormat("%.3f", 1e-9 * PerSecond(counts.bytes, seconds)),
                 absl::StrFormat("%.3f", 1e-9 * BytesPerBusySecond(counts))};
  for (const Quantile& quantile : kQuantiles) {
    row.push_back(absl::StrFormat("%.1f", Percentile(counts.latency_us, quantile.share)));
  }
  return row;
}

Json JsonOf(const OperationCounts& counts, double seconds) {
  Json object{{"operations", counts.latency_us.size()},
              {"pages", counts.pages},
              {"bytes", counts.bytes},
              {"pages_per_second", PerSecond(counts.pages, seconds)},
              {"bytes_per_second", PerSecond(counts.bytes, seconds)},
              {"bytes_per_busy_second", BytesPerBusySecond(counts)},
              {"bytes_per_copying_second", PerSecond(counts.bytes, counts.copy_seconds)}};
  for (const Quantile& quantile : kQuantiles) {
    object[absl::StrCat(quantile.name, "_us")] = Percentile(counts.latency_us, quantile.share);
  }
  return object;
}

}  // namespace

double Percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

std::string LoadTable(const Workload& workload, const LoadResult& result) {
  std::vector<TextRow> rows = {{"", "ops/s", "pages/s", "GB/s", "busy GB/s"}};
  for (const Quantile& quantile : kQuantiles) rows[0].push_back(absl::StrCat(quantile.name, " us"));
  rows.push_back(
      RowOf(workload.copy ? "get, copied" : "get, in place", result.get, result.seconds));
  rows.push_back(
      RowOf(workload.put_in_place ? "put, in place" : "put, copied", result.put, result.seconds));
  return absl::StrCat(AlignedTable(rows), result.checked_pages, " pages read and checked, ",
                      result.wrong_pages, " wrong; ", result.misses, " misses, ",
                      result.refused_leases, " refused leases\n");
}

std::string LoadJson(const Workload& workload, const LoadResult& result) {
  const Json object{{"workload",
                     {{"clients", workload.clients},
                      {"tenants", workload.tenants},
                      {"pages", workload.pages},
                      {"page_bytes", workload.page_bytes},
                      {"batch", workload.batch},
                      {"run", workload.run},
                      {"copy", workload.copy},
                      {"put_in_place", workload.put_in_place},
                      {"read_share", workload.read_share},
                      {"zipf", workload.zipf},
                      {"seconds", workload.seconds},
                      {"seed", workload.seed}}},
                    {"seconds", result.seconds},
                    {"get", JsonOf(result.get, result.seconds)},
                    {"put", JsonOf(result.put, result.seconds)},
                    {"checked_pages", result.checked_pages},
                    {"misses", result.misses},
                    {"refused_leases", result.refused_leases},
                    {"wrong_pages", result.wrong_pages}};
  return object.dump(2) + "\n";
}

}  // namespace pinboard::app
