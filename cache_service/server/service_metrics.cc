// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/server/service_metrics.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pinboard::cache_service {
namespace {

enum class Kind : std::uint8_t { kGauge, kCounter };

struct Series {
  const char* name;
  const char* help;
  Kind kind;
  const char* label;  // null: none
  const char* label_value;
  std::uint64_t (*value)(const ServiceCounts&);
  CountScope scope = CountScope::kTenant;  // kService: left out for a tenant
};

template <MissCause cause>
std::uint64_t Misses(const ServiceCounts& counts) {
  return counts.misses_total[static_cast<int>(cause)];
}

template <EvictionCause cause>
std::uint64_t Evictions(const ServiceCounts& counts) {
  return counts.inventory.evictions_total[static_cast<int>(cause)];
}

template <RefusalReason reason>
std::uint64_t Refused(const ServiceCounts& counts) {
  return counts.refused_total[static_cast<int>(reason)];
}

template <OfferKind kind, OfferEnd end>
std::uint64_t Offers(const ServiceCounts& counts) {
  return counts.replication.offers_total[static_cast<int>(kind)][static_cast<int>(end)];
}

template <PullEnd end>
std::uint64_t Pulled(const ServiceCounts& counts) {
  return counts.replication.pulls_total[static_cast<int>(end)];
}

using C = const ServiceCounts&;
constexpr const char* kMisses = "pinboard_service_misses_total";
constexpr const char* kMissesHelp = "Pages asked for and not there, by cause.";
constexpr const char* kEvictions = "pinboard_service_evictions_total";
constexpr const char* kEvictionsHelp = "Pages that left and nobody had dropped, by cause.";
constexpr const char* kRefused = "pinboard_service_refused_total";
constexpr const char* kRefusedHelp = "Connections closed for reasons of access.";
constexpr const char* kPeers = "pinboard_service_peers";
constexpr const char* kPeersHelp = "Other members, by whether both connections with them are up.";
constexpr const char* kCopies = "pinboard_service_copies_total";
constexpr const char* kCopiesHelp = "Pages offered to another member as a copy, by outcome.";
constexpr const char* kHandOvers = "pinboard_service_hand_overs_total";
constexpr const char* kHandOversHelp = "Pages offered to another member at the end, by outcome.";
constexpr const char* kSpills = "pinboard_service_spills_total";
constexpr const char* kSpillsHelp = "Pages about to leave offered to another member, by outcome.";
constexpr const char* kPulls = "pinboard_service_pulls_total";
constexpr const char* kPullsHelp =
    "Pages asked for, not here and looked for elsewhere, by outcome.";
constexpr const char* kSlabs = "pinboard_service_slabs";
constexpr const char* kSlabsHelp = "Slabs a client may write to; quarantined: its client is lost.";

const Series kSeries[] = {
    {"pinboard_service_arena_bytes", "Memory for pages.", Kind::kGauge, nullptr, nullptr,
     [](C c) { return c.arena_bytes; }},
    {"pinboard_service_arena_used_bytes", "Memory in slabs that are not free.", Kind::kGauge,
     nullptr, nullptr, [](C c) { return c.inventory.used_bytes; }},
    {"pinboard_service_arena_fragmented_bytes", "Free memory that only one page size can use.",
     Kind::kGauge, nullptr, nullptr,
     [](C c) { return c.inventory.assigned_bytes - c.inventory.used_bytes; }},
    {kSlabs, kSlabsHelp, Kind::kGauge, "state", "leased",
     [](C c) { return c.inventory.leased_slabs; }},
    {kSlabs, kSlabsHelp, Kind::kGauge, "state", "quarantined",
     [](C c) { return c.inventory.quarantined_slabs; }},
    {"pinboard_service_pages", "Pages that can be fetched.", Kind::kGauge, nullptr, nullptr,
     [](C c) { return c.inventory.published_pages; }},
    {"pinboard_service_extents", "Blocks of pages that the catalog keeps.", Kind::kGauge, nullptr,
     nullptr, [](C c) { return c.inventory.extents; }},
    {"pinboard_service_pins", "Fetches of pages that are still being read.", Kind::kGauge, nullptr,
     nullptr, [](C c) { return c.inventory.pins; }},
    {"pinboard_service_clients", "Connected clients.", Kind::kGauge, nullptr, nullptr,
     [](C c) { return c.clients; }},
    {"pinboard_service_lost_clients", "Clients whose connection is lost and whose process runs.",
     Kind::kGauge, nullptr, nullptr, [](C c) { return c.lost_clients; }},
    {"pinboard_service_parked_fetches", "Pages asked for that wait for their publication.",
     Kind::kGauge, nullptr, nullptr, [](C c) { return c.parked_fetches; }},
    {"pinboard_service_leases_total", "Slabs leased.", Kind::kCounter, nullptr, nullptr,
     [](C c) { return c.inventory.leases_total; }},
    {"pinboard_service_pages_published_total", "Pages made visible.", Kind::kCounter, nullptr,
     nullptr, [](C c) { return c.inventory.pages_published_total; }},
    {"pinboard_service_published_bytes_total", "Bytes of pages made visible.", Kind::kCounter,
     nullptr, nullptr, [](C c) { return c.inventory.bytes_published_total; }},
    {"pinboard_service_stale_publishes_total",
     "Pages refused: this generation or a later was there.", Kind::kCounter, nullptr, nullptr,
     [](C c) { return c.inventory.stale_publishes_total; }},
    {"pinboard_service_refused_publishes_total",
     "Pages refused: their tenant has all the extents it may have.", Kind::kCounter, nullptr,
     nullptr, [](C c) { return c.inventory.refused_publishes_total; }},
    {"pinboard_service_pages_fetched_total", "Pages asked for and there.", Kind::kCounter, nullptr,
     nullptr, [](C c) { return c.pages_fetched_total; }},
    {"pinboard_service_fetched_bytes_total", "Bytes of pages asked for and there.", Kind::kCounter,
     nullptr, nullptr, [](C c) { return c.bytes_fetched_total; }},
    {kMisses, kMissesHelp, Kind::kCounter, "cause", "unknown", Misses<MissCause::kUnknown>},
    {kMisses, kMissesHelp, Kind::kCounter, "cause", "evicted", Misses<MissCause::kEvicted>},
    {kMisses, kMissesHelp, Kind::kCounter, "cause", "dropped", Misses<MissCause::kDropped>},
    {kMisses, kMissesHelp, Kind::kCounter, "cause", "generation", Misses<MissCause::kGeneration>},
    {kEvictions, kEvictionsHelp, Kind::kCounter, "cause", "same_size",
     Evictions<EvictionCause::kSameSize>},
    {kEvictions, kEvictionsHelp, Kind::kCounter, "cause", "other_size",
     Evictions<EvictionCause::kOtherSize>},
    {kEvictions, kEvictionsHelp, Kind::kCounter, "cause", "watermark",
     Evictions<EvictionCause::kWatermark>},
    {kEvictions, kEvictionsHelp, Kind::kCounter, "cause", "expired",
     Evictions<EvictionCause::kExpired>},
    {kEvictions, kEvictionsHelp, Kind::kCounter, "cause", "quota",
     Evictions<EvictionCause::kQuota>},
    {kEvictions, kEvictionsHelp, Kind::kCounter, "cause", "reclaimed",
     Evictions<EvictionCause::kReclaimed>},
    {"pinboard_service_pages_dropped_total", "Pages that a client dropped.", Kind::kCounter,
     nullptr, nullptr, [](C c) { return c.inventory.pages_dropped_total; }},
    {"pinboard_service_refused_leases_total", "Lease requests that found no room.", Kind::kCounter,
     nullptr, nullptr, [](C c) { return c.refused_leases_total; }},
    {"pinboard_service_connections_total", "Clients that connected.", Kind::kCounter, nullptr,
     nullptr, [](C c) { return c.connections_total; }},
    {"pinboard_service_refused_connections_total",
     "Connections closed for a malformed message or a broken rule.", Kind::kCounter, nullptr,
     nullptr, [](C c) { return c.refused_connections_total; }, CountScope::kService},
    {kRefused, kRefusedHelp, Kind::kCounter, "reason", "unauthenticated",
     Refused<RefusalReason::kUnauthenticated>, CountScope::kService},
    {kRefused, kRefusedHelp, Kind::kCounter, "reason", "wrong_tenant",
     Refused<RefusalReason::kWrongTenant>, CountScope::kService},
    {kRefused, kRefusedHelp, Kind::kCounter, "reason", "wrong_key",
     Refused<RefusalReason::kWrongKey>, CountScope::kService},
    {kRefused, kRefusedHelp, Kind::kCounter, "reason", "replayed",
     Refused<RefusalReason::kReplayed>, CountScope::kService},
    {kRefused, kRefusedHelp, Kind::kCounter, "reason", "expired_key",
     Refused<RefusalReason::kExpiredKey>, CountScope::kService},
    {kRefused, kRefusedHelp, Kind::kCounter, "reason", "expired_nonce",
     Refused<RefusalReason::kExpiredNonce>, CountScope::kService},
    {kRefused, kRefusedHelp, Kind::kCounter, "reason", "withdrawn_key",
     Refused<RefusalReason::kWithdrawnKey>, CountScope::kService},
    {kRefused, kRefusedHelp, Kind::kCounter, "reason", "wrong_order",
     Refused<RefusalReason::kWrongOrder>, CountScope::kService},
    {kRefused, kRefusedHelp, Kind::kCounter, "reason", "lost_connections",
     Refused<RefusalReason::kLostConnections>, CountScope::kService},
    {"pinboard_service_unknown_members_total", "Connections closed of members not known here.",
     Kind::kCounter, nullptr, nullptr, [](C c) { return c.unknown_members_total; },
     CountScope::kService},
    {"pinboard_service_under_replicated_pages",
     "Pages that may be at fewer members than they should.", Kind::kGauge, nullptr, nullptr,
     [](C c) { return c.replication.under_replicated_pages; }},
    {kPeers, kPeersHelp, Kind::kGauge, "state", "up", [](C c) { return c.replication.peers_up; }},
    {kPeers, kPeersHelp, Kind::kGauge, "state", "down",
     [](C c) { return c.replication.peers_down; }},
    {"pinboard_service_copies_waiting", "Pages to be offered to other members, or offered.",
     Kind::kGauge, nullptr, nullptr, [](C c) { return c.replication.offers_waiting; }},
    {kCopies, kCopiesHelp, Kind::kCounter, "outcome", "taken",
     Offers<OfferKind::kCopy, OfferEnd::kTaken>},
    {kCopies, kCopiesHelp, Kind::kCounter, "outcome", "had",
     Offers<OfferKind::kCopy, OfferEnd::kHad>},
    {kCopies, kCopiesHelp, Kind::kCounter, "outcome", "no_room",
     Offers<OfferKind::kCopy, OfferEnd::kNoRoom>},
    {kCopies, kCopiesHelp, Kind::kCounter, "outcome", "corrupt",
     Offers<OfferKind::kCopy, OfferEnd::kCorrupt>},
    {kCopies, kCopiesHelp, Kind::kCounter, "outcome", "failed",
     Offers<OfferKind::kCopy, OfferEnd::kFailed>},
    {kCopies, kCopiesHelp, Kind::kCounter, "outcome", "overflow",
     Offers<OfferKind::kCopy, OfferEnd::kOverflow>},
    {kHandOvers, kHandOversHelp, Kind::kCounter, "outcome", "taken",
     Offers<OfferKind::kHandOver, OfferEnd::kTaken>},
    {kHandOvers, kHandOversHelp, Kind::kCounter, "outcome", "had",
     Offers<OfferKind::kHandOver, OfferEnd::kHad>},
    {kHandOvers, kHandOversHelp, Kind::kCounter, "outcome", "no_room",
     Offers<OfferKind::kHandOver, OfferEnd::kNoRoom>},
    {kHandOvers, kHandOversHelp, Kind::kCounter, "outcome", "corrupt",
     Offers<OfferKind::kHandOver, OfferEnd::kCorrupt>},
    {kHandOvers, kHandOversHelp, Kind::kCounter, "outcome", "failed",
     Offers<OfferKind::kHandOver, OfferEnd::kFailed>},
    {kHandOvers, kHandOversHelp, Kind::kCounter, "outcome", "overflow",
     Offers<OfferKind::kHandOver, OfferEnd::kOverflow>},
    {kSpills, kSpillsHelp, Kind::kCounter, "outcome", "taken",
     Offers<OfferKind::kSpill, OfferEnd::kTaken>},
    {kSpills, kSpillsHelp, Kind::kCounter, "outcome", "had",
     Offers<OfferKind::kSpill, OfferEnd::kHad>},
    {kSpills, kSpillsHelp, Kind::kCounter, "outcome", "no_room",
     Offers<OfferKind::kSpill, OfferEnd::kNoRoom>},
    {kSpills, kSpillsHelp, Kind::kCounter, "outcome", "corrupt",
     Offers<OfferKind::kSpill, OfferEnd::kCorrupt>},
    {kSpills, kSpillsHelp, Kind::kCounter, "outcome", "failed",
     Offers<OfferKind::kSpill, OfferEnd::kFailed>},
    {kSpills, kSpillsHelp, Kind::kCounter, "outcome", "overflow",
     Offers<OfferKind::kSpill, OfferEnd::kOverflow>},
    {"pinboard_service_spilled_pages", "Pages that other members had no room for.", Kind::kGauge,
     nullptr, nullptr, [](C c) { return c.inventory.spilled_pages; }},
    {"pinboard_service_spilled_fetches_total", "Fetches that found one of them.", Kind::kCounter,
     nullptr, nullptr, [](C c) { return c.inventory.spilled_fetches_total; }},
    {"pinboard_service_drain_pages_left", "Pages that a service that ends still hands over.",
     Kind::kGauge, nullptr, nullptr, [](C c) { return c.replication.drain_pages_left; }},
    {"pinboard_service_pulls_waiting", "Pages that are looked for at other members.", Kind::kGauge,
     nullptr, nullptr, [](C c) { return c.replication.pulls_waiting; }},
    {kPulls, kPullsHelp, Kind::kCounter, "outcome", "hit", Pulled<PullEnd::kHit>},
    {kPulls, kPullsHelp, Kind::kCounter, "outcome", "miss", Pulled<PullEnd::kMiss>},
    {kPulls, kPullsHelp, Kind::kCounter, "outcome", "no_room", Pulled<PullEnd::kNoRoom>},
    {kPulls, kPullsHelp, Kind::kCounter, "outcome", "corrupt", Pulled<PullEnd::kCorrupt>},
    {kPulls, kPullsHelp, Kind::kCounter, "outcome", "timeout", Pulled<PullEnd::kTimeout>},
    {kPulls, kPullsHelp, Kind::kCounter, "outcome", "overflow", Pulled<PullEnd::kOverflow>},
    {"pinboard_service_peer_protocol_errors_total",
     "Connections to other members ended for what they said.", Kind::kCounter, nullptr, nullptr,
     [](C c) { return c.replication.peer_protocol_errors_total; }},
    {"pinboard_service_lost_drops_total",
     "Dropped pages and sequences that a member that was away will not hear of.", Kind::kCounter,
     nullptr, nullptr, [](C c) { return c.replication.lost_drops_total; }},
};

MetricLabels LabelsOf(const Series& series) {
  if (series.label == nullptr) return {};
  return {{series.label, series.label_value}};
}

constexpr char kRequestSeconds[] = "pinboard_service_request_seconds";

double SecondsOf(std::uint32_t us) { return us * 1e-6; }

}  // namespace

std::vector<StatsEntry> DescribeCounts(const ServiceCounts& counts, CountScope scope) {
  std::vector<StatsEntry> entries;
  for (const Series& series : kSeries) {
    if (scope == CountScope::kTenant && series.scope == CountScope::kService) continue;
    std::string name = series.name;
    if (series.label != nullptr) {
      absl::StrAppend(&name, "{", series.label, "=\"", series.label_value, "\"}");
    }
    entries.push_back({std::move(name), series.value(counts)});
  }
  return entries;
}

ServiceMetrics::ServiceMetrics(MetricRegistry& registry) {
  for (const Series& series : kSeries) {
    const bool gauge = series.kind == Kind::kGauge;
    gauges_.push_back(gauge ? &registry.AddGauge(series.name, series.help, LabelsOf(series))
                            : nullptr);
    counters_.push_back(gauge ? nullptr
                              : &registry.AddCounter(series.name, series.help, LabelsOf(series)));
  }
  std::vector<double> bounds(kRequestBoundsUs.size());
  std::transform(kRequestBoundsUs.begin(), kRequestBoundsUs.end(), bounds.begin(), SecondsOf);
  const std::pair<MessageType, const char*> operations[] = {
      {MessageType::kLease, "lease"},        {MessageType::kPublish, "publish"},
      {MessageType::kFetch, "fetch"},        {MessageType::kUnpin, "unpin"},
      {MessageType::kDrop, "drop"},          {MessageType::kDropSequence, "drop_sequence"},
      {MessageType::kReturnSlabs, "return"}, {MessageType::kLeaseAhead, "lease_ahead"},
      {MessageType::kInspect, "inspect"}};
  for (const auto& [type, name] : operations) {
    requests_[type] = {
        name,
        &registry.AddHistogram(kRequestSeconds, "Time the service worked on one message (a batch).",
                               bounds, {{"operation", name}})};
  }
}

void ServiceMetrics::Update(const ServiceCounts& counts) {
  for (std::size_t i = 0; i < gauges_.size(); ++i) {
    const auto value = static_cast<double>(kSeries[i].value(counts));
    if (gauges_[i] != nullptr) {
      gauges_[i]->Set(value);
    } else {
      counters_[i]->Increment(value - counters_[i]->Value());
    }
  }
}

const char* ServiceMetrics::OperationOf(MessageType type) const {
  const auto found = requests_.find(type);
  return found == requests_.end() ? "other" : found->second.operation;
}

void ServiceMetrics::ObserveRequest(MessageType type, absl::Duration time) {
  const auto found = requests_.find(type);
  if (found == requests_.end()) return;
  found->second.seconds->Observe(absl::ToDoubleSeconds(time));
  const auto bound = std::lower_bound(kRequestBoundsUs.begin(), kRequestBoundsUs.end(),
                                      absl::ToDoubleMicroseconds(time));
  ++found->second.times[bound - kRequestBoundsUs.begin()];
}

std::vector<StatsEntry> ServiceMetrics::DescribeRequests() const {
  std::vector<StatsEntry> entries;
  for (const auto& [type, requests] : requests_) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < requests.times.size(); ++i) {
      sum += requests.times[i];
      const std::string bound =
          i < kRequestBoundsUs.size() ? absl::StrCat(SecondsOf(kRequestBoundsUs[i])) : "+Inf";
      entries.push_back({absl::StrCat(kRequestSeconds, "_bucket{operation=\"", requests.operation,
                                      "\",le=\"", bound, "\"}"),
                         sum});
    }
  }
  return entries;
}

}  // namespace pinboard::cache_service
