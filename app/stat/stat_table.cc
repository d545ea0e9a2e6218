// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/stat/stat_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "app/report/text_table.h"
#include "base/byte_size.h"

namespace pinboard::app {
namespace {

constexpr char kArena[] = "pinboard_service_arena_bytes";
constexpr char kUsed[] = "pinboard_service_arena_used_bytes";

enum class Unit : std::uint8_t { kCount, kBytes };

struct Line {
  const char* label;
  const char* name;
  Unit unit = Unit::kCount;
};

constexpr Line kNow[] = {
    {"pages", "pinboard_service_pages"},
    {"  in extents", "pinboard_service_extents"},
    {"leased slabs", "pinboard_service_slabs{state=\"leased\"}"},
    {"quarantined slabs", "pinboard_service_slabs{state=\"quarantined\"}"},
    {"pins", "pinboard_service_pins"},
    {"fetches that wait", "pinboard_service_parked_fetches"},
    {"clients, this one too", "pinboard_service_clients"},
    {"  lost, whose process runs", "pinboard_service_lost_clients"},
};

constexpr Line kTotals[] = {
    {"slabs leased", "pinboard_service_leases_total"},
    {"pages published", "pinboard_service_pages_published_total"},
    {"  bytes", "pinboard_service_published_bytes_total", Unit::kBytes},
    {"  refused as stale", "pinboard_service_stale_publishes_total"},
    {"  refused an extent", "pinboard_service_refused_publishes_total"},
    {"hits", "pinboard_service_pages_fetched_total"},
    {"  bytes", "pinboard_service_fetched_bytes_total", Unit::kBytes},
    {"misses: unknown", "pinboard_service_misses_total{cause=\"unknown\"}"},
    {"  evicted", "pinboard_service_misses_total{cause=\"evicted\"}"},
    {"  dropped", "pinboard_service_misses_total{cause=\"dropped\"}"},
    {"  generation", "pinboard_service_misses_total{cause=\"generation\"}"},
    {"evictions: same size", "pinboard_service_evictions_total{cause=\"same_size\"}"},
    {"  other size", "pinboard_service_evictions_total{cause=\"other_size\"}"},
    {"  watermark", "pinboard_service_evictions_total{cause=\"watermark\"}"},
    {"  expired", "pinboard_service_evictions_total{cause=\"expired\"}"},
    {"  quota", "pinboard_service_evictions_total{cause=\"quota\"}"},
    {"  reclaimed", "pinboard_service_evictions_total{cause=\"reclaimed\"}"},
    {"pages dropped", "pinboard_service_pages_dropped_total"},
    {"refused leases", "pinboard_service_refused_leases_total"},
    {"connections", "pinboard_service_connections_total"},
    {"  refused", "pinboard_service_refused_connections_total"},
    {"access refused: unauthenticated",
     "pinboard_service_refused_total{reason=\"unauthenticated\"}"},
    {"  wrong tenant", "pinboard_service_refused_total{reason=\"wrong_tenant\"}"},
    {"  wrong key", "pinboard_service_refused_total{reason=\"wrong_key\"}"},
    {"  replayed", "pinboard_service_refused_total{reason=\"replayed\"}"},
    {"  expired key", "pinboard_service_refused_total{reason=\"expired_key\"}"},
    {"  expired nonce", "pinboard_service_refused_total{reason=\"expired_nonce\"}"},
    {"  withdrawn key", "pinboard_service_refused_total{reason=\"withdrawn_key\"}"},
    {"  wrong order", "pinboard_service_refused_total{reason=\"wrong_order\"}"},
    {"  lost connections", "pinboard_service_refused_total{reason=\"lost_connections\"}"},
};

// Of a service that knows of other members.
constexpr Line kMembersNow[] = {
    {"other members: up", "pinboard_service_peers{state=\"up\"}"},
    {"  down", "pinboard_service_peers{state=\"down\"}"},
    {"pages to be copied", "pinboard_service_copies_waiting"},
    {"pages with a copy too few", "pinboard_service_under_replicated_pages"},
    {"pages to be handed over", "pinboard_service_drain_pages_left"},
    {"pages spilled here", "pinboard_service_spilled_pages"},
    {"pages looked for", "pinboard_service_pulls_waiting"},
};

constexpr Line kMembersTotals[] = {
    {"copies: taken", "pinboard_service_copies_total{outcome=\"taken\"}"},
    {"  there already", "pinboard_service_copies_total{outcome=\"had\"}"},
    {"  no room", "pinboard_service_copies_total{outcome=\"no_room\"}"},
    {"  corrupt", "pinboard_service_copies_total{outcome=\"corrupt\"}"},
    {"  failed", "pinboard_service_copies_total{outcome=\"failed\"}"},
    {"  too many", "pinboard_service_copies_total{outcome=\"overflow\"}"},
    {"handed over: taken", "pinboard_service_hand_overs_total{outcome=\"taken\"}"},
    {"  there already", "pinboard_service_hand_overs_total{outcome=\"had\"}"},
    {"  no room", "pinboard_service_hand_overs_total{outcome=\"no_room\"}"},
    {"  corrupt", "pinboard_service_hand_overs_total{outcome=\"corrupt\"}"},
    {"  failed", "pinboard_service_hand_overs_total{outcome=\"failed\"}"},
    {"  too many", "pinboard_service_hand_overs_total{outcome=\"overflow\"}"},
    {"spilled: taken", "pinboard_service_spills_total{outcome=\"taken\"}"},
    {"  there already", "pinboard_service_spills_total{outcome=\"had\"}"},
    {"  no room", "pinboard_service_spills_total{outcome=\"no_room\"}"},
    {"  corrupt", "pinboard_service_spills_total{outcome=\"corrupt\"}"},
    {"  failed", "pinboard_service_spills_total{outcome=\"failed\"}"},
    {"  too many", "pinboard_service_spills_total{outcome=\"overflow\"}"},
    {"fetched of those spilled here", "pinboard_service_spilled_fetches_total"},
    {"pulls: there", "pinboard_service_pulls_total{outcome=\"hit\"}"},
    {"  nowhere", "pinboard_service_pulls_total{outcome=\"miss\"}"},
    {"  no room", "pinboard_service_pulls_total{outcome=\"no_room\"}"},
    {"  corrupt", "pinboard_service_pulls_total{outcome=\"corrupt\"}"},
    {"  too late", "pinboard_service_pulls_total{outcome=\"timeout\"}"},
    {"  too many", "pinboard_service_pulls_total{outcome=\"overflow\"}"},
    {"members not known here", "pinboard_service_unknown_members_total"},
    {"members that broke the protocol", "pinboard_service_peer_protocol_errors_total"},
    {"drops not heard of", "pinboard_service_lost_drops_total"},
};

std::string Text(std::optional<std::uint64_t> value, Unit unit) {
  if (!value) return "-";
  return unit == Unit::kBytes ? FormatByteSize(*value) : absl::StrCat(*value);
}

std::string RateText(std::optional<double> rate, Unit unit) {
  if (!rate) return "-";
  return unit == Unit::kBytes ? FormatByteSize(static_cast<std::uint64_t>(std::max(0.0, *rate)))
                              : absl::StrFormat("%.1f", *rate);
}

TextRow ShareOfArena(const char* label, std::optional<std::uint64_t> bytes,
                     std::optional<std::uint64_t> arena) {
  if (!bytes || !arena || *arena == 0) return {label, Text(bytes, Unit::kBytes), "-"};
  return {label, Text(bytes, Unit::kBytes),
          absl::StrFormat("%.1f %%",
                          100.0 * static_cast<double>(*bytes) / static_cast<double>(*arena))};
}

void AddArena(const ServiceSample& now, std::vector<TextRow>* rows) {
  const auto arena = ValueOf(now, kArena);
  const auto used = ValueOf(now, kUsed);
  std::optional<std::uint64_t> free;
  if (arena && used) free = *arena - std::min(*arena, *used);
  rows->push_back({"arena", Text(arena, Unit::kBytes), ""});
  rows->push_back(ShareOfArena("  used", used, arena));
  rows->push_back(ShareOfArena("  free", free, arena));
  rows->push_back(ShareOfArena("    for one page size only",
                               ValueOf(now, "pinboard_service_arena_fragmented_bytes"), arena));
}

bool HasMembers(const ServiceSample& now) {
  return ValueOf(now, kMembersNow[0].name).value_or(0) +
             ValueOf(now, kMembersNow[1].name).value_or(0) >
         0;
}

}  // namespace

std::string StatTable(const ServiceSample* before, const ServiceSample& now) {
  std::vector<TextRow> rows = {{now.service, "now", ""}};
  const auto add_values = [&](absl::Span<const Line> lines) {
    for (const Line& line : lines) {
      rows.push_back({line.label, Text(ValueOf(now, line.name), line.unit), ""});
    }
  };
  const auto add_totals = [&](absl::Span<const Line> lines) {
    rows.push_back({"", "total", "a second"});
    for (const Line& line : lines) {
      rows.push_back({line.label, Text(ValueOf(now, line.name), line.unit),
                      RateText(RateOf(before, now, line.name), line.unit)});
    }
  };
  AddArena(now, &rows);
  add_values(kNow);
  add_totals(kTotals);
  if (HasMembers(now)) {
    add_values(kMembersNow);
    add_totals(kMembersTotals);
  }
  return AlignedTable(rows);
}

}  // namespace pinboard::app
