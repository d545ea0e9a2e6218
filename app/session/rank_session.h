// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// One rank with a model loaded and a shard attached: what generate and eval work on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "app/launch/rank_group.h"
#include "app/session/rank_metrics.h"
#include "engine/engine.h"
#include "pinboard/backend.h"
#include "pinboard/shard.h"
#include "transport/collective/observed/observed_communicator.h"

namespace pinboard::app {

struct SessionOptions {
  std::string model_dir;
  std::optional<std::uint64_t> random_weights;  // a seed: none are read
  Backend backend = Backend::kCpu;
  int block_size = 16;
  int cache_blocks = 0;  // capacity
  bool layer_tables = false;
  int sketch_dim = 0;
  bool observe_all_queries = false;
  bool wait_for_pages = false;
  bool census = false;
  bool export_plans = false;
  absl::Duration deadline = absl::Seconds(10);  // a rank later than this is lost
  std::string metrics;                          // HOST:PORT of rank 0; empty: none
};

/// Owns the rank's engine and shard. All ranks make the same calls in the same order; the calls
/// marked [collective] exchange with the others. One thread.
class RankSession {
 public:
  /// `rank` outlives the session. Errors: as Engine::Load and CreateShard; AlreadyExists for a
  /// metrics port in use.
  static absl::StatusOr<std::unique_ptr<RankSession>> Open(const SessionOptions& options,
                                                           const RankContext& rank);

  const RankContext& rank() const { return rank_; }
  bool is_first() const { return rank_.rank == 0; }
  engine::Engine& engine() { return *engine_; }
  const Shard& shard() const { return *shard_; }

  /// A number no sequence of this session had before.
  std::uint64_t NewSequence() { return ++last_sequence_; }

  /// Whether the engine tells the shard of its steps; it does unless told otherwise.
  /// FailedPrecondition while sequences exist.
  absl::Status AttachShard(bool attached);

  /// [collective] Engine::Step, counted for the metrics.
  absl::StatusOr<std::vector<engine::StepOutput>> Step(absl::Span<const engine::StepInput> inputs);

  /// Tells the metrics of a step that was made on engine() itself.
  void CountStep(int tokens);

  /// [collective] Feeds a whole prompt in as few steps as the engine allows; the last one's output.
  absl::StatusOr<engine::StepOutput> Prefill(std::uint64_t sequence,
                                             absl::Span<const std::int32_t> prompt);

  /// Null where none are served.
  const RankMetrics* metrics() const { return metrics_.get(); }

  std::int64_t steps() const { return steps_; }
  int max_step_tokens() const { return max_step_tokens_; }
  absl::Time Deadline() const;

 private:
  RankSession(const SessionOptions& options, const RankContext& rank)
      : rank_(rank), deadline_(options.deadline) {}

  absl::Status ServeMetrics(const std::string& address);

  RankContext rank_;  // its communicator, where metrics are served, is observed_
  const absl::Duration deadline_;
  int max_step_tokens_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::int64_t steps_ = 0;
  std::unique_ptr<RankMetrics> metrics_;  // null: not served
  std::unique_ptr<transport::ObservedCommunicator> observed_;
  std::unique_ptr<engine::Engine> engine_;  // its stream outlives the shard, which it calls no more
  std::unique_ptr<Shard> shard_;
};

}  // namespace pinboard::app
