// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/top/top_screen.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "app/top/request_quantile.h"
#include "base/byte_size.h"

namespace pinboard::app {
namespace {

constexpr int kBar = 30;

/// The last two samples of a service that is there.
struct Seen {
  const ServiceSample* before;
  const ServiceSample& now;

  static std::string Name(absl::string_view metric) {
    return absl::StrCat("pinboard_service_", metric);
  }
  std::optional<std::uint64_t> Value(absl::string_view metric) const {
    return ValueOf(now, Name(metric));
  }
  std::string Count(absl::string_view metric) const {
    const auto value = Value(metric);
    return value ? absl::StrCat(*value) : "-";
  }
  std::optional<double> Rate(absl::string_view metric) const {
    const auto rate = RateOf(before, now, Name(metric));
    return rate ? std::optional(std::max(0.0, *rate)) : std::nullopt;
  }
  std::string PerSecond(absl::string_view metric) const {
    const auto rate = Rate(metric);
    return rate ? absl::StrFormat("%.0f", *rate) : "-";
  }
  std::string BytesPerSecond(absl::string_view metric) const {
    const auto rate = Rate(metric);
    return rate ? FormatByteSize(static_cast<std::uint64_t>(*rate)) : "-";
  }
  /// "12 unknown, 0 evicted": every cause, or value of another label, that the service has.
  std::string ByCause(absl::string_view metric, absl::string_view label = "cause") const {
    const std::string prefix = absl::StrCat(Name(metric), "{", label, "=\"");
    std::string text;
    for (const auto& entry : now.entries) {
      absl::string_view cause = entry.name;
      if (!absl::ConsumePrefix(&cause, prefix) || !absl::ConsumeSuffix(&cause, "\"}")) continue;
      const auto rate = RateOf(before, now, entry.name);
      absl::StrAppend(&text, text.empty() ? "" : ", ",
                      rate ? absl::StrFormat("%.0f", std::max(0.0, *rate)) : "-", " ", cause);
    }
    return text.empty() ? "-" : text;
  }
  /// Of the pages asked for.
  std::string HitShare() const {
    const auto hits = Rate("pages_fetched_total");
    if (!hits) return "-";
    double asked = *hits;
    for (const auto& entry : now.entries) {
      if (!absl::StartsWith(entry.name, Name("misses_total"))) continue;
      asked += std::max(0.0, RateOf(before, now, entry.name).value_or(0));
    }
    return asked > 0 ? absl::StrFormat("%.1f %%", 100 * *hits / asked) : "-";
  }
  std::string Microseconds(const char* operation, double share) const {
    const auto us = RequestQuantileUs(before, now, operation, share);
    return us ? absl::StrFormat("%.0f", *us) : "-";
  }
  std::string Work(const char* operation) const {
    return absl::StrCat(operation, " ", Microseconds(operation, 0.5), " / ",
                        Microseconds(operation, 0.99));
  }
};

std::string Arena(const Seen& seen) {
  const auto arena = seen.Value("arena_bytes");
  const auto used = seen.Value("arena_used_bytes");
  if (!arena || !used || *arena == 0) return "-";
  const double share = static_cast<double>(*used) / static_cast<double>(*arena);
  const int filled = std::clamp(static_cast<int>(share * kBar), used > 0U ? 1 : 0, kBar);
  return absl::StrCat("[", std::string(filled, '#'), std::string(kBar - filled, '.'), "] ",
                      absl::StrFormat("%.1f %%", 100 * share), "   ", FormatByteSize(*used), " of ",
                      FormatByteSize(*arena), ", ", seen.Count("pages"), " pages in ",
                      seen.Count("extents"), " extents");
}

bool HasMembers(const Seen& seen) {
  return seen.Value("peers{state=\"up\"}").value_or(0) +
             seen.Value("peers{state=\"down\"}").value_or(0) >
         0;
}

std::vector<std::string> Block(const ServiceView& view) {
  if (!view.now) {
    return {
        absl::StrCat(view.service, view.gone.empty() ? "   connecting" : "   gone: ", view.gone)};
  }
  const Seen seen{view.before ? &*view.before : nullptr, *view.now};
  std::vector<std::string> block = {
      absl::StrCat(view.service, "   ", seen.Count("clients"), " clients, this one too"),
      absl::StrCat("  arena    ", Arena(seen)),
      absl::StrCat("  get      ", seen.PerSecond("pages_fetched_total"), " hits/s, ",
                   seen.BytesPerSecond("fetched_bytes_total"), "/s, ", seen.HitShare(),
                   " hit   misses/s: ", seen.ByCause("misses_total")),
      absl::StrCat("  put      ", seen.PerSecond("pages_published_total"), " pages/s, ",
                   seen.BytesPerSecond("published_bytes_total"), "/s   ",
                   seen.PerSecond("leases_total"), " leased/s, ",
                   seen.PerSecond("refused_leases_total"), " refused/s, ",
                   seen.PerSecond("stale_publishes_total"), " stale/s"),
      absl::StrCat("  leave    evictions/s: ", seen.ByCause("evictions_total"), "   ",
                   seen.PerSecond("pages_dropped_total"), " dropped/s"),
      absl::StrCat("  work     p50 / p99 us a message: ", seen.Work("fetch"), ", ",
                   seen.Work("publish"), ", ", seen.Work("lease")),
      absl::StrCat("  held     ", seen.Count("pins"), " pins, ",
                   seen.Count("slabs{state=\"leased\"}"), " leases, ",
                   seen.Count("slabs{state=\"quarantined\"}"), " quarantined, ",
                   seen.Count("parked_fetches"), " fetches wait"),
  };
  if (HasMembers(seen)) {
    block.push_back(absl::StrCat("  members  ", seen.Count("peers{state=\"up\"}"), " up, ",
                                 seen.Count("peers{state=\"down\"}"), " down, ",
                                 seen.Count("copies_waiting"), " pages to be copied   ",
                                 seen.PerSecond("copies_total{outcome=\"taken\"}"),
                                 " copied/s   pulls/s: ", seen.ByCause("pulls_total", "outcome")));
  }
  return block;
}

}  // namespace

std::string TopScreen(absl::Time now, const std::vector<ServiceView>& services, int columns,
                      int rows) {
  std::vector<std::string> lines = {
      absl::StrCat("pinboard top   ", absl::FormatTime("%H:%M:%S", now, absl::UTCTimeZone()),
                   " UTC", columns > 0 ? "   q: quit" : "")};
  // The last line belongs to those without room, or stays empty.
  const std::size_t room = rows > 0 ? static_cast<std::size_t>(rows - 1) : SIZE_MAX;
  for (std::size_t i = 0; i < services.size(); ++i) {
    std::vector<std::string> block = Block(services[i]);
    if (lines.size() + block.size() > room) {
      lines.push_back(absl::StrCat(services.size() - i, " more: a higher terminal shows them"));
      break;
    }
    std::move(block.begin(), block.end(), std::back_inserter(lines));
  }
  std::string text;
  for (const std::string& line : lines) {
    const std::size_t width = columns > 0 ? static_cast<std::size_t>(columns) : line.size();
    absl::StrAppend(&text, line.substr(0, width), "\n");
  }
  return text;
}

}  // namespace pinboard::app
