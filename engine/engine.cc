// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/public_status.h"
#include "base/status_macros.h"
#include "engine/cpu_forward_pass.h"
#include "engine/cuda/cuda_forward_pass.h"
#include "engine/logits_pass.h"
#include "engine/rank_plan.h"
#include "engine/rope.h"
#include "engine/round_runner.h"
#include "engine/sequence_table.h"
#include "engine/step_runner.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::engine {

namespace {

RotaryShape MakeRotaryShape(const ModelConfig& config) {
  if (!config.is_mla()) return {.frequencies = RopeFrequencies(config.rope, config.head_dim)};
  return {.first_dim = config.mla.kv_lora_rank,
          .interleaved = config.mla.rope_interleave,
          .frequencies = RopeFrequencies(config.rope, config.mla.qk_rope_head_dim)};
}

/// Of all its tables, one after another.
std::vector<std::int32_t> AllBlocks(const SequenceState& state) {
  std::vector<std::int32_t> blocks;
  for (const RowTable& table : state.tables) {
    blocks.insert(blocks.end(), table.blocks.begin(), table.blocks.end());
  }
  return blocks;
}

}  // namespace

struct Engine::Parts {
  Parts(const EngineOptions& options, const ModelConfig& config, const RankPlan& plan,
        std::unique_ptr<ForwardPass> pass, transport::Communicator* communicator)
      : options(options),
        config(config),
        plan(plan),
        forward(std::move(pass)),
        logits(forward.get(), plan, communicator, options.collective_deadline),
        sequences(options.cache_blocks * (options.layer_tables ? config.layers : 1),
                  options.block_size, options.layer_tables ? config.layers : 1),
        steps({.vocab_size = config.vocab_size, .max_tokens = options.max_step_tokens},
              forward.get(), &logits, &sequences, &stats),
        rounds(&sequences, &stats) {}

  KvCache& cache() const { return forward->cache(); }
  int RingRows(std::uint64_t sequence, int table) const {
    return shard == nullptr ? 0 : shard->RingRows(sequence, table);
  }

  EngineOptions options;
  ModelConfig config;
  RankPlan plan;
  std::unique_ptr<transport::Communicator> solo;  // where the caller gave none
  std::unique_ptr<ForwardPass> forward;
  LogitsPass logits;
  SequenceTable sequences;
  Shard* shard = nullptr;
  EngineStats stats;
  StepRunner steps;
  RoundRunner rounds;
};

absl::StatusOr<std::unique_ptr<Engine>> Engine::Load(const EngineOptions& options,
                                                     transport::Communicator* communicator) {
  std::unique_ptr<transport::Communicator> solo;
  if (communicator == nullptr) {
    solo = transport::MakeSoloCommunicator();
    communicator = solo.get();
  }
  PB_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(options.model_dir));
  PB_ASSIGN_OR_RETURN(const RankPlan plan,
                      MakeRankPlan(config, communicator->rank(), communicator->size()));
  std::unique_ptr<Checkpoint> checkpoint;
  if (!options.random_weights.has_value()) {
    PB_ASSIGN_OR_RETURN(checkpoint, Checkpoint::Open(options.model_dir));
  }
  const ForwardPassOptions of_pass{.config = config,
                                   .plan = plan,
                                   .cache = {.shape = CacheShape(config, plan, options.cache_dtype),
                                             .layers = config.layers,
                                             .block_size = options.block_size,
                                             .blocks = options.cache_blocks,
                                             .layer_blocks = options.layer_tables},
                                   .collective_deadline = options.collective_deadline,
                                   .random_weights = options.random_weights,
                                   .step_graphs = options.step_graphs};
  const auto load = options.backend == Backend::kCuda ? LoadCudaForwardPass : CpuForwardPass::Load;
  PB_ASSIGN_OR_RETURN(auto forward, load(of_pass, checkpoint.get(), communicator));
  auto parts = std::make_unique<Parts>(options, config, plan, std::move(forward), communicator);
  parts->solo = std::move(solo);
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Engine::~Engine() = default;

const ModelConfig& Engine::config() const { return parts_->config; }
int Engine::vocab_begin() const { return parts_->plan.vocab_begin; }
int Engine::vocab_local() const { return parts_->plan.vocab_local; }
void* Engine::stream() const { return parts_->forward->stream(); }

ShardModel Engine::MakeShardModel() const {
  ShardModel model;
  model.layers = parts_->config.layers;
  model.query_heads = parts_->plan.heads;
  model.total_query_heads = parts_->config.heads;
  model.kv = parts_->cache().shape();
  model.kv_replicas = parts_->plan.kv_replicas;
  model.attention_scale = parts_->config.attention_scale();
  model.rotary = MakeRotaryShape(parts_->config);
  model.hidden_dim = parts_->config.hidden_size;
  model.vocab_begin = parts_->plan.vocab_begin;
  model.vocab_local = parts_->plan.vocab_local;
  model.block_size = parts_->options.block_size;
  model.layer_tables = parts_->options.layer_tables;
  for (int layer = 0; layer < model.layers; ++layer) {
    model.cache.push_back(parts_->cache().layer(layer));
  }
  return model;
}

absl::Status Engine::Attach(Shard* shard) {
  if (!parts_->sequences.empty()) {
    return absl::FailedPreconditionError("a shard is attached before the first sequence is added");
  }
  parts_->shard = shard;
  return absl::OkStatus();
}

absl::Status Engine::AddSequence(std::uint64_t sequence, const SequenceOptions& options) {
  PB_RETURN_IF_ERROR(parts_->sequences.Add(sequence));
  if (parts_->shard == nullptr) return absl::OkStatus();
  absl::Status status = ToAbslStatus(parts_->shard->AddSequence(sequence, options));
  if (!status.ok()) PB_RETURN_IF_ERROR(parts_->sequences.Remove(sequence));
  return status;
}

absl::Status Engine::Fork(std::uint64_t from, std::uint64_t to, const SequenceOptions& options) {
  return ForkPrefix(from, to, Length(from), options);
}

absl::Status Engine::ForkPrefix(std::uint64_t from, std::uint64_t to, int tokens,
                                const SequenceOptions& options) {
  SequenceTable& sequences = parts_->sequences;
  PB_ASSIGN_OR_RETURN(const SequenceState* origin, sequences.Find(from));
  PB_RETURN_IF_ERROR(CheckAtRest(from, *origin));
  const bool whole = tokens == origin->length;
  const std::int64_t missing = std::int64_t{origin->length} * config().layers - TotalRows(from);
  if (tokens < 0 || tokens > origin->length || (!whole && missing > 0)) {
    return absl::FailedPreconditionError(
        absl::StrCat("sequence ", from, " has ", origin->length, " tokens, ", missing,
                     " of their rows evicted: its first ", tokens, " tokens cannot be forked"));
  }
  PB_RETURN_IF_ERROR(sequences.Add(to));
  absl::Cleanup undo = [&] { sequences.Remove(to).IgnoreError(); };
  const SequenceState& source = *sequences.Peek(from);
  PB_ASSIGN_OR_RETURN(SequenceState * target, sequences.Find(to));
  target->length = tokens;
  std::vector<int> ring_rows;
  for (std::size_t i = 0; i < source.tables.size(); ++i) {
    target->tables[i].rows = whole ? source.tables[i].rows : tokens;
    ring_rows.push_back(parts_->RingRows(from, static_cast<int>(i)));
  }
  PB_ASSIGN_OR_RETURN(const BlockCopies copies, sequences.Share(source, ring_rows, target));
  if (parts_->shard != nullptr) {
    PB_RETURN_IF_ERROR(ToAbslStatus(parts_->shard->ForkSequence(from, to, tokens, options)));
  }
  PB_RETURN_IF_ERROR(parts_->cache().CopyBlocks(copies.from, copies.to));
  parts_->stats.blocks_copied += static_cast<std::int64_t>(copies.to.size());
  parts_->stats.tokens_shared += tokens;
  parts_->stats.blocks_shared +=
      static_cast<std::int64_t>(AllBlocks(*target).size() - copies.to.size());
  std::move(undo).Cancel();
  return absl::OkStatus();
}

absl::Status Engine::SwapOut(std::uint64_t sequence) {
  PB_ASSIGN_OR_RETURN(SequenceState * state, parts_->sequences.Find(sequence));
  PB_RETURN_IF_ERROR(CheckAtRest(sequence, *state));
  PB_ASSIGN_OR_RETURN(state->swapped, parts_->cache().SaveBlocks(AllBlocks(*state)));
  state->swapped_out = true;
  return parts_->sequences.Release(state);
}

absl::Status Engine::SwapIn(std::uint64_t sequence) {
  PB_ASSIGN_OR_RETURN(SequenceState * state, parts_->sequences.Find(sequence));
  if (!state->swapped_out) {
    return absl::FailedPreconditionError(
        absl::StrCat("sequence ", sequence, " is not swapped out"));
  }
  PB_RETURN_IF_ERROR(parts_->sequences.Grow(state, 0).status());
  PB_RETURN_IF_ERROR(parts_->cache().RestoreBlocks(AllBlocks(*state), state->swapped));
  state->swapped = {};
  state->swapped_out = false;
  return absl::OkStatus();
}

absl::Status Engine::Remove(std::uint64_t sequence) {
  PB_ASSIGN_OR_RETURN(const SequenceState* state, parts_->sequences.Find(sequence));
  if (state->in_round) return CheckAtRest(sequence, *state);
  if (parts_->shard != nullptr) {
    PB_RETURN_IF_ERROR(ToAbslStatus(parts_->shard->RemoveSequence(sequence)));
  }
  return parts_->sequences.Remove(sequence);
}

absl::StatusOr<std::vector<StepOutput>> Engine::Step(absl::Span<const StepInput> inputs) {
  return parts_->steps.Run(inputs, parts_->shard);
}

absl::Status Engine::BeginRound(absl::Span<const std::uint64_t> sequences) {
  return parts_->rounds.Begin(sequences, parts_->shard);
}

absl::StatusOr<std::vector<RoundOutcome>> Engine::CommitRound(
    absl::Span<const std::uint64_t> sequences) {
  return parts_->rounds.Commit(sequences, parts_->shard);
}

absl::StatusOr<std::vector<RoundOutcome>> Engine::Compress(
    absl::Span<const std::uint64_t> sequences) {
  PB_RETURN_IF_ERROR(BeginRound(sequences));
  return CommitRound(sequences);
}

int Engine::Rows(std::uint64_t sequence, int layer) const {
  const SequenceState* state = parts_->sequences.Peek(sequence);
  if (state == nullptr) return 0;
  return state->tables.size() == 1 ? state->tables.front().rows : state->tables[layer].rows;
}
std::int64_t Engine::TotalRows(std::uint64_t sequence) const {
  std::int64_t rows = 0;
  for (int layer = 0; layer < config().layers; ++layer) rows += Rows(sequence, layer);
  return rows;
}
int Engine::Length(std::uint64_t sequence) const {
  const SequenceState* state = parts_->sequences.Peek(sequence);
  return state == nullptr ? 0 : state->length;
}
int Engine::BlocksUsed(std::uint64_t sequence) const {
  const SequenceState* state = parts_->sequences.Peek(sequence);
  return state == nullptr ? 0 : static_cast<int>(AllBlocks(*state).size());
}
int Engine::BlocksMissing(std::uint64_t sequence, int tokens) const {
  const SequenceState* state = parts_->sequences.Peek(sequence);
  return state == nullptr ? 0 : parts_->sequences.MissingBlocks(*state, tokens);
}
std::size_t Engine::ResidentKvBytes(std::uint64_t sequence) const {
  return BlocksUsed(sequence) * parts_->cache().BlockBytes();
}
std::size_t Engine::RowBytes() const { return parts_->cache().TokenBytes(); }
std::size_t Engine::BlockBytes() const { return parts_->cache().BlockBytes(); }
const EngineStats& Engine::stats() const { return parts_->stats; }

absl::Status Engine::Census() const {
  return parts_->sequences.Census(
      [this](std::uint64_t sequence, int table) { return parts_->RingRows(sequence, table); });
}

int Engine::block_size() const { return parts_->options.block_size; }
int Engine::free_blocks() const { return parts_->sequences.free_blocks(); }
int Engine::total_blocks() const { return parts_->sequences.total_blocks(); }

}  // namespace pinboard::engine
