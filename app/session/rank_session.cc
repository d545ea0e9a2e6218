// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/session/rank_session.h"

#include <algorithm>

#include "base/clock.h"
#include "base/status_macros.h"
#include "shard/shard_factory.h"

namespace pinboard::app {

absl::StatusOr<std::unique_ptr<RankSession>> RankSession::Open(const SessionOptions& options,
                                                               const RankContext& rank) {
  std::unique_ptr<RankSession> session(new RankSession(options, rank));
  if (!options.metrics.empty()) PB_RETURN_IF_ERROR(session->ServeMetrics(options.metrics));
  transport::Communicator* const communicator = session->rank_.communicator;
  engine::EngineOptions engine_options;
  engine_options.model_dir = options.model_dir;
  engine_options.random_weights = options.random_weights;
  engine_options.backend = options.backend;
  engine_options.block_size = options.block_size;
  engine_options.cache_blocks = options.cache_blocks;
  engine_options.layer_tables = options.layer_tables;
  engine_options.collective_deadline = options.deadline;
  PB_ASSIGN_OR_RETURN(session->engine_, engine::Engine::Load(engine_options, communicator));
  session->max_step_tokens_ = engine_options.max_step_tokens;

  ShardOptions shard_options;
  shard_options.model = session->engine_->MakeShardModel();
  shard_options.backend = options.backend;
  shard_options.stream = session->engine_->stream();
  shard_options.sketch_dim = options.sketch_dim;
  shard_options.observe_all_queries = options.observe_all_queries;
  shard_options.wait_for_pages = options.wait_for_pages;
  shard_options.census = options.census;
  shard_options.export_plans = options.export_plans;
  shard_options.rank_deadline_ms = absl::ToInt64Milliseconds(options.deadline);
  shard_options.round_deadline_ms = shard_options.rank_deadline_ms;
  PB_ASSIGN_OR_RETURN(session->shard_, CreateShard(shard_options, communicator, rank.store));
  PB_RETURN_IF_ERROR(session->engine_->Attach(session->shard_.get()));
  return session;
}

absl::Status RankSession::ServeMetrics(const std::string& address) {
  PB_ASSIGN_OR_RETURN(const std::string own, RankMetricsAddress(address, rank_.rank, rank_.tp));
  PB_ASSIGN_OR_RETURN(metrics_, RankMetrics::Serve(own));
  if (rank_.tp == 1) return absl::OkStatus();  // its collectives are none
  observed_ = std::make_unique<transport::ObservedCommunicator>(
      *rank_.communicator,
      [this](transport::CollectiveCall call, absl::Duration time, const absl::Status& outcome) {
        metrics_->ObserveCollective(call, time, outcome);
      });
  rank_.communicator = observed_.get();
  return absl::OkStatus();
}

absl::Status RankSession::AttachShard(bool attached) {
  return engine_->Attach(attached ? shard_.get() : nullptr);
}

absl::StatusOr<std::vector<engine::StepOutput>> RankSession::Step(
    absl::Span<const engine::StepInput> inputs) {
  auto outputs = engine_->Step(inputs);
  int tokens = 0;
  for (const engine::StepInput& input : inputs) tokens += static_cast<int>(input.tokens.size());
  CountStep(tokens);
  return outputs;
}

void RankSession::CountStep(int tokens) {
  ++steps_;
  if (metrics_ == nullptr) return;
  const auto blocks = static_cast<std::size_t>(engine_->total_blocks() - engine_->free_blocks());
  metrics_->Update(shard_->stats(), engine_->stats(), tokens, blocks * engine_->BlockBytes());
}

absl::StatusOr<engine::StepOutput> RankSession::Prefill(std::uint64_t sequence,
                                                        absl::Span<const std::int32_t> prompt) {
  engine::StepOutput last;
  while (!prompt.empty()) {
    const auto chunk =
        prompt.first(std::min(prompt.size(), static_cast<std::size_t>(max_step_tokens_)));
    PB_ASSIGN_OR_RETURN(auto outputs, Step({{.sequence = sequence, .tokens = chunk}}));
    last = std::move(outputs.front());
    prompt.remove_prefix(chunk.size());
  }
  return last;
}

absl::Time RankSession::Deadline() const { return SteadyNow() + deadline_; }

}  // namespace pinboard::app
