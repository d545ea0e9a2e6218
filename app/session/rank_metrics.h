// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a rank tells Prometheus (docs/metrics.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/metrics.h"
#include "engine/engine.h"
#include "pinboard/shard.h"
#include "transport/collective/observed/observed_communicator.h"

namespace pinboard::app {

/// The address rank `rank` serves at: the port of `address` plus the rank. InvalidArgument: not an
/// address, or the port of the last of `tp` ranks is beyond 65535.
absl::StatusOr<std::string> RankMetricsAddress(const std::string& address, int rank, int tp);

/// Metrics of one rank, served until destroyed. One thread updates.
class RankMetrics {
 public:
  /// Errors: as ServeMetrics.
  static absl::StatusOr<std::unique_ptr<RankMetrics>> Serve(const std::string& address);

  /// Counters of `shard` and `engine` are monotone: what grew since the last call is added.
  void Update(const ShardStats& shard, const engine::EngineStats& engine, int step_tokens,
              std::size_t cache_bytes_used);

  /// As ObservedCommunicator calls it.
  void ObserveCollective(transport::CollectiveCall call, absl::Duration time,
                         const absl::Status& outcome);

  const MetricRegistry& registry() const { return *registry_; }

 private:
  RankMetrics();

  template <typename Stats, typename Number>
  struct CounterOf {
    Number Stats::*field;
    Counter* counter;
    double unit = 1;  // of the field, in the metric's
  };
  /// Why a collective did not end well.
  struct CollectiveFailures {
    Counter* late;
    Counter* lost;
    Counter* disagreed;
    Counter* other;
  };

  std::unique_ptr<MetricRegistry> registry_;
  std::vector<CounterOf<ShardStats, std::uint64_t>> shard_counters_;
  std::vector<CounterOf<engine::EngineStats, std::int64_t>> engine_counters_;
  std::array<Histogram*, transport::kCollectiveCalls> collective_seconds_;
  CollectiveFailures collective_failures_;
  Counter* evicted_attention_;
  Counter* steps_;
  Counter* tokens_;
  Gauge* digest_bytes_;
  Gauge* workspace_bytes_;
  Gauge* cache_bytes_;
  Gauge* blocks_saved_;
  ShardStats last_shard_;
  engine::EngineStats last_engine_;
  std::unique_ptr<MetricServer> server_;
};

}  // namespace pinboard::app
