// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/session/rank_metrics.h"

#include "absl/strings/str_cat.h"
#include "base/socket_address.h"
#include "base/status_macros.h"

namespace pinboard::app {
namespace {

template <typename Stats, typename Number>
struct CounterSpec {
  Number Stats::*field;
  const char* name;
  const char* help;
  const char* label = nullptr;  // its name, where there is one
  const char* value = nullptr;
  double unit = 1;
};

constexpr double kNanosecond = 1e-9;
constexpr char kRoundSeconds[] = "pinboard_rank_round_seconds_total";
constexpr char kRoundSecondsHelp[] =
    "Time in rounds: plan (score, merge, select), prepare (gather what is to be offloaded), vote, "
    "apply (compact). In plan and vote other ranks are waited for.";
constexpr char kRoundRows[] = "pinboard_rank_round_rows_total";
constexpr char kRoundRowsHelp[] =
    "What applied rounds made of rows, all sequences and layers: kept, in a ring, offloaded by the "
    "round, dropped.";
constexpr char kFailedFetches[] = "pinboard_rank_failed_fetches_total";
constexpr char kFailedFetchesHelp[] =
    "Pages that this rank asked for and did not get: absent at the service, the service "
    "unavailable, late, corrupt, unplaced.";

constexpr CounterSpec<ShardStats, std::uint64_t> kShardCounters[] = {
    {&ShardStats::rounds, "pinboard_rank_rounds_total", "Compression rounds committed."},
    {&ShardStats::rounds_kept_all, "pinboard_rank_rounds_kept_all_total",
     "Rounds that kept everything because a rank was late or failed, or the plans differed."},
    {&ShardStats::rounds_without_blocks, "pinboard_rank_rounds_without_blocks_total",
     "Rounds of a sequence that kept everything because no blocks were free for shared rows."},
    {&ShardStats::keepset_mismatches, "pinboard_rank_keepset_mismatches_total",
     "Rounds in which the ranks' plans differed."},
    {&ShardStats::round_plan_ns, kRoundSeconds, kRoundSecondsHelp, "stage", "plan", kNanosecond},
    {&ShardStats::round_prepare_ns, kRoundSeconds, kRoundSecondsHelp, "stage", "prepare",
     kNanosecond},
    {&ShardStats::round_vote_ns, kRoundSeconds, kRoundSecondsHelp, "stage", "vote", kNanosecond},
    {&ShardStats::round_apply_ns, kRoundSeconds, kRoundSecondsHelp, "stage", "apply", kNanosecond},
    {&ShardStats::rows_kept, kRoundRows, kRoundRowsHelp, "fate", "kept"},
    {&ShardStats::rows_in_rings, kRoundRows, kRoundRowsHelp, "fate", "ring"},
    {&ShardStats::rows_offloaded, kRoundRows, kRoundRowsHelp, "fate", "offloaded"},
    {&ShardStats::rows_dropped, kRoundRows, kRoundRowsHelp, "fate", "dropped"},
    {&ShardStats::fetches_absent, kFailedFetches, kFailedFetchesHelp, "cause", "absent"},
    {&ShardStats::fetches_unavailable, kFailedFetches, kFailedFetchesHelp, "cause", "unavailable"},
    {&ShardStats::fetches_late, kFailedFetches, kFailedFetchesHelp, "cause", "late"},
    {&ShardStats::fetches_corrupt, kFailedFetches, kFailedFetchesHelp, "cause", "corrupt"},
    {&ShardStats::fetches_unplaced, kFailedFetches, kFailedFetchesHelp, "cause", "unplaced"},
    {&ShardStats::pages_offloaded, "pinboard_rank_pages_offloaded_total",
     "Pages this rank sent to the cache service."},
    {&ShardStats::bytes_offloaded, "pinboard_rank_offloaded_bytes_total",
     "Bytes of the pages this rank sent to the cache service."},
    {&ShardStats::pages_without_slab, "pinboard_rank_pages_without_slab_total",
     "Pages of rounds for which the cache service had no room, or gave none in time: misses "
     "later."},
    {&ShardStats::pages_recalled, "pinboard_rank_pages_recalled_total",
     "Pages that became visible in a ring."},
    {&ShardStats::bytes_recalled, "pinboard_rank_recalled_bytes_total",
     "Bytes of the pages that became visible in a ring."},
    {&ShardStats::misses, "pinboard_rank_misses_total",
     "Pages that a rank asked for and did not get; they are struck on every rank."},
    {&ShardStats::waits, "pinboard_rank_waits_total",
     "Steps that waited for pages: only pinboard eval waits."},
    {&ShardStats::recall_choices, "pinboard_rank_recall_choices_total",
     "Steps of a sequence in which its pages were chosen."},
    {&ShardStats::recall_lag_steps, "pinboard_rank_recall_lag_steps_total",
     "Steps between wanted and visible, summed over the recalled pages."},
    {&ShardStats::quality_samples, "pinboard_rank_quality_samples_total",
     "Queries, each in one layer, of which the quality signals below were taken."},
    {&ShardStats::ring_rows_sampled, "pinboard_rank_ring_rows_sampled_total",
     "Recalled rows in the ring of those queries."},
    {&ShardStats::ring_rows_attended, "pinboard_rank_ring_rows_attended_total",
     "Those of them to which some head gave 1 % of its attention or more."},
    {&ShardStats::tokens_without_information, "pinboard_rank_tokens_without_information_total",
     "Tokens ranked by attention alone, because their information was not known."},
    {&ShardStats::collectives, "pinboard_rank_collectives_total",
     "Collectives this rank has issued, the engine's included."},
};

constexpr CounterSpec<engine::EngineStats, std::int64_t> kEngineCounters[] = {
    {&engine::EngineStats::tokens_shared, "pinboard_rank_tokens_shared_total",
     "Tokens that sequences went on from, as others had read them."},
    {&engine::EngineStats::blocks_shared, "pinboard_rank_blocks_shared_total",
     "Cache blocks that sequences took over from others."},
    {&engine::EngineStats::blocks_copied, "pinboard_rank_blocks_copied_total",
     "Cache blocks copied because a sequence writes into them that others share."},
};

/// From 4 us, four times as much each, to 16.8 s.
std::vector<double> WaitBounds() {
  std::vector<double> bounds;
  for (double bound = 4e-6; bounds.size() < 12; bound *= 4) bounds.push_back(bound);
  return bounds;
}

Counter* AddCollectiveFailure(MetricRegistry& registry, const char* reason) {
  return &registry.AddCounter(
      "pinboard_rank_collective_failures_total",
      "Collectives that did not end well: a rank was late, a rank is lost, the ranks disagreed on "
      "what they were in, or another fault.",
      {{"reason", reason}});
}

/// Of one counter of a table.
template <typename Spec>
Counter* Add(MetricRegistry& registry, const Spec& spec) {
  MetricLabels labels;
  if (spec.label != nullptr) labels[spec.label] = spec.value;
  return &registry.AddCounter(spec.name, spec.help, labels);
}

}  // namespace

absl::StatusOr<std::string> RankMetricsAddress(const std::string& address, int rank, int tp) {
  PB_ASSIGN_OR_RETURN(SocketAddress parsed, ParseSocketAddress(address));
  if (parsed.port == 0) {
    return absl::InvalidArgumentError(
        "port 0 is none that a scraper could know: name the first rank's port");
  }
  if (parsed.port + tp - 1 > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("port ", parsed.port,
                                                   " leaves no port for rank ", tp - 1,
                                                   ": ranks take one after another"));
  }
  parsed.port = static_cast<std::uint16_t>(parsed.port + rank);
  return parsed.ToString();
}

RankMetrics::RankMetrics()
    : registry_(NewMetricRegistry()),
      collective_failures_{
          AddCollectiveFailure(*registry_, "late"), AddCollectiveFailure(*registry_, "lost"),
          AddCollectiveFailure(*registry_, "disagreed"), AddCollectiveFailure(*registry_, "other")},
      evicted_attention_(&registry_->AddCounter(
          "pinboard_rank_evicted_attention_total",
          "Shares of attention on evicted pages, estimated from digests, summed over the quality "
          "samples.")),
      steps_(&registry_->AddCounter("pinboard_rank_steps_total", "Forward passes.")),
      tokens_(&registry_->AddCounter("pinboard_rank_tokens_total",
                                     "Tokens that went through the forward pass.")),
      digest_bytes_(&registry_->AddGauge("pinboard_rank_digest_bytes",
                                         "Digests of offloaded pages, on the GPU.")),
      workspace_bytes_(
          &registry_->AddGauge("pinboard_rank_workspace_bytes",
                               "High-water mark of query windows, hidden states and scores.")),
      cache_bytes_(
          &registry_->AddGauge("pinboard_rank_kv_cache_bytes", "Blocks of the KV cache in use.")),
      blocks_saved_(&registry_->AddGauge(
          "pinboard_rank_blocks_saved",
          "Cache blocks that rounds set free so far, less those they took for shared rows.")) {
  for (int call = 0; call < transport::kCollectiveCalls; ++call) {
    collective_seconds_[call] = &registry_->AddHistogram(
        "pinboard_rank_collective_seconds",
        "Time of this rank in a collective: mostly, waiting for the others.", WaitBounds(),
        {{"call", transport::CollectiveCallName(static_cast<transport::CollectiveCall>(call))}});
  }
  for (const auto& spec : kShardCounters) {
    shard_counters_.push_back({spec.field, Add(*registry_, spec), spec.unit});
  }
  for (const auto& spec : kEngineCounters) {
    engine_counters_.push_back({spec.field, Add(*registry_, spec)});
  }
}

absl::StatusOr<std::unique_ptr<RankMetrics>> RankMetrics::Serve(const std::string& address) {
  std::unique_ptr<RankMetrics> metrics(new RankMetrics());
  PB_ASSIGN_OR_RETURN(metrics->server_, ServeMetrics(*metrics->registry_, address));
  return metrics;
}

void RankMetrics::Update(const ShardStats& shard, const engine::EngineStats& engine,
                         int step_tokens, std::size_t cache_bytes_used) {
  steps_->Increment();
  tokens_->Increment(step_tokens);
  for (const auto& [field, counter, unit] : shard_counters_) {
    counter->Increment(static_cast<double>(shard.*field - last_shard_.*field) * unit);
  }
  for (const auto& [field, counter, unit] : engine_counters_) {
    counter->Increment(static_cast<double>(engine.*field - last_engine_.*field) * unit);
  }
  evicted_attention_->Increment(shard.evicted_attention - last_shard_.evicted_attention);
  digest_bytes_->Set(static_cast<double>(shard.digest_bytes));
  workspace_bytes_->Set(static_cast<double>(shard.workspace_bytes));
  cache_bytes_->Set(static_cast<double>(cache_bytes_used));
  blocks_saved_->Set(static_cast<double>(engine.blocks_saved));
  last_shard_ = shard;
  last_engine_ = engine;
}

void RankMetrics::ObserveCollective(transport::CollectiveCall call, absl::Duration time,
                                    const absl::Status& outcome) {
  collective_seconds_[static_cast<int>(call)]->Observe(absl::ToDoubleSeconds(time));
  if (outcome.ok()) return;
  const auto [late, lost, disagreed, other] = collective_failures_;
  switch (outcome.code()) {
    case absl::StatusCode::kDeadlineExceeded:
      return late->Increment();
    case absl::StatusCode::kUnavailable:
      return lost->Increment();
    case absl::StatusCode::kFailedPrecondition:
      return disagreed->Increment();
    default:
      return other->Increment();
  }
}

}  // namespace pinboard::app
