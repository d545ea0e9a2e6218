// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/public_status.h"
#include "base/status_macros.h"
#include "engine/blas.h"
#include "engine/forward_pass.h"
#include "engine/kv_cache.h"
#include "engine/logits_pass.h"
#include "engine/rank_plan.h"
#include "engine/rope.h"
#include "engine/sequence_table.h"
#include "transport/collective/local/local_communicator.h"

namespace pinboard::engine {

namespace {

absl::Status CheckAtRest(std::uint64_t sequence, const SequenceState& state) {
  if (state.in_round) {
    return absl::FailedPreconditionError(
        absl::StrCat("sequence ", sequence, " is in a round: commit it first"));
  }
  if (state.swapped_out) {
    return absl::FailedPreconditionError(
        absl::StrCat("sequence ", sequence, " is swapped out: swap it in first"));
  }
  return absl::OkStatus();
}

RotaryShape MakeRotaryShape(const ModelConfig& config) {
  if (!config.is_mla()) return {.frequencies = RopeFrequencies(config.rope, config.head_dim)};
  return {.first_dim = config.mla.kv_lora_rank,
          .interleaved = config.mla.rope_interleave,
          .frequencies = RopeFrequencies(config.rope, config.mla.qk_rope_head_dim)};
}

BlockTables TablesOf(const SequenceState& state) {
  BlockTables tables;
  for (const RowTable& table : state.tables) tables.emplace_back(table.blocks);
  return tables;
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
        ModelWeights weights, transport::Communicator* communicator)
      : options(options),
        config(config),
        plan(plan),
        forward(config, plan, std::move(weights), communicator, options.collective_deadline),
        logits(&forward, plan, communicator, options.collective_deadline),
        sequences(options.cache_blocks * (options.layer_tables ? config.layers : 1),
                  options.block_size, options.layer_tables ? config.layers : 1) {}

  absl::Status CheckInputs(absl::Span<const StepInput> inputs);
  absl::Status Grow(absl::Span<const StepInput> inputs);
  void Shrink(absl::Span<const StepInput> inputs);
  absl::StatusOr<StepBatch> MakeBatch(absl::Span<const StepInput> inputs);
  absl::Status BeginShardStep(const StepBatch& batch, absl::Span<const StepInput> inputs);
  absl::Status EndShardStep(absl::Span<StepOutput> outputs);
  absl::StatusOr<std::vector<StepOutput>> RunStep(absl::Span<const StepInput> inputs);
  absl::StatusOr<std::vector<Shard::RoundEntry>> RoundEntries(
      absl::Span<const std::uint64_t> sequences);
  absl::Status ApplyOutcome(const RoundOutcome& outcome);

  EngineOptions options;
  ModelConfig config;
  RankPlan plan;
  std::unique_ptr<transport::Communicator> solo;  // where the caller gave none
  ForwardPass forward;
  LogitsPass logits;
  SequenceTable sequences;
  std::unique_ptr<KvCache> cache;
  Shard* shard = nullptr;
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
  PB_ASSIGN_OR_RETURN(const auto checkpoint, Checkpoint::Open(options.model_dir));
  PB_ASSIGN_OR_RETURN(ModelWeights weights, LoadWeights(*checkpoint, config, plan));
  SetProductThreads(plan.ranks);
  if (options.cache_blocks <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("a KV cache of ", options.cache_blocks, " blocks: give it at least one"));
  }
  auto parts = std::make_unique<Parts>(options, config, plan, std::move(weights), communicator);
  parts->solo = std::move(solo);
  PB_ASSIGN_OR_RETURN(parts->cache,
                      KvCache::Create({.shape = parts->forward.CacheShape(options.cache_dtype),
                                       .layers = config.layers,
                                       .block_size = options.block_size,
                                       .blocks = options.cache_blocks,
                                       .layer_blocks = options.layer_tables}));
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Engine::~Engine() = default;

const ModelConfig& Engine::config() const { return parts_->config; }
int Engine::vocab_begin() const { return parts_->plan.vocab_begin; }
int Engine::vocab_local() const { return parts_->plan.vocab_local; }

ShardModel Engine::MakeShardModel() const {
  ShardModel model;
  model.layers = parts_->config.layers;
  model.query_heads = parts_->plan.heads;
  model.total_query_heads = parts_->config.heads;
  model.kv = parts_->cache->shape();
  model.kv_replicas = parts_->plan.kv_replicas;
  model.attention_scale = parts_->config.attention_scale();
  model.rotary = MakeRotaryShape(parts_->config);
  model.hidden_dim = parts_->config.hidden_size;
  model.vocab_begin = parts_->plan.vocab_begin;
  model.vocab_local = parts_->plan.vocab_local;
  model.block_size = parts_->options.block_size;
  model.layer_tables = parts_->options.layer_tables;
  for (int layer = 0; layer < model.layers; ++layer) {
    model.cache.push_back(parts_->cache->layer(layer));
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
  SequenceTable& sequences = parts_->sequences;
  PB_ASSIGN_OR_RETURN(const SequenceState* origin, sequences.Find(from));
  if (origin->swapped_out) return CheckAtRest(from, *origin);
  PB_RETURN_IF_ERROR(sequences.Add(to));
  absl::Cleanup undo = [&] { sequences.Remove(to).IgnoreError(); };
  const SequenceState& source = *sequences.Peek(from);
  PB_ASSIGN_OR_RETURN(SequenceState * target, sequences.Find(to));
  target->length = source.length;
  for (std::size_t i = 0; i < source.tables.size(); ++i) {
    target->tables[i].rows = source.tables[i].rows;
  }
  PB_RETURN_IF_ERROR(sequences.Grow(target, 0));
  if (parts_->shard != nullptr) {
    PB_RETURN_IF_ERROR(ToAbslStatus(parts_->shard->ForkSequence(from, to, options)));
  }
  for (std::size_t i = 0; i < source.tables.size(); ++i) {
    const std::vector<std::int32_t>& blocks = target->tables[i].blocks;
    parts_->cache->CopyBlocks(absl::MakeConstSpan(source.tables[i].blocks).first(blocks.size()),
                              blocks);
  }
  std::move(undo).Cancel();
  return absl::OkStatus();
}

absl::Status Engine::SwapOut(std::uint64_t sequence) {
  PB_ASSIGN_OR_RETURN(SequenceState * state, parts_->sequences.Find(sequence));
  PB_RETURN_IF_ERROR(CheckAtRest(sequence, *state));
  state->swapped = parts_->cache->SaveBlocks(AllBlocks(*state));
  state->swapped_out = true;
  return parts_->sequences.Release(state);
}

absl::Status Engine::SwapIn(std::uint64_t sequence) {
  PB_ASSIGN_OR_RETURN(SequenceState * state, parts_->sequences.Find(sequence));
  if (!state->swapped_out) {
    return absl::FailedPreconditionError(
        absl::StrCat("sequence ", sequence, " is not swapped out"));
  }
  PB_RETURN_IF_ERROR(parts_->sequences.Grow(state, 0));
  parts_->cache->RestoreBlocks(AllBlocks(*state), state->swapped);
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
  PB_RETURN_IF_ERROR(parts_->CheckInputs(inputs));
  PB_RETURN_IF_ERROR(parts_->Grow(inputs));
  absl::StatusOr<std::vector<StepOutput>> outputs = parts_->RunStep(inputs);
  if (!outputs.ok()) {
    parts_->Shrink(inputs);
    return outputs;
  }
  for (const StepInput& input : inputs) {
    PB_ASSIGN_OR_RETURN(SequenceState * state, parts_->sequences.Find(input.sequence));
    for (RowTable& table : state->tables) table.rows += static_cast<int>(input.tokens.size());
    state->length += static_cast<int>(input.tokens.size());
  }
  return outputs;
}

absl::Status Engine::Parts::CheckInputs(absl::Span<const StepInput> inputs) {
  std::size_t total = 0;
  absl::flat_hash_set<std::uint64_t> seen;
  for (const StepInput& input : inputs) {
    PB_ASSIGN_OR_RETURN(const SequenceState* state, sequences.Find(input.sequence));
    if (state->swapped_out) return CheckAtRest(input.sequence, *state);
    if (!seen.insert(input.sequence).second || input.tokens.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "sequence ", input.sequence, " must come once in a step, with at least one token"));
    }
    for (const std::int32_t token : input.tokens) {
      if (token >= 0 && token < config.vocab_size) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "token id ", token, " is outside the vocabulary of ", config.vocab_size, " tokens"));
    }
    total += input.tokens.size();
  }
  if (total > 0 && total <= static_cast<std::size_t>(options.max_step_tokens)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("a step of ", total, " tokens: give it 1 to ",
                                                 options.max_step_tokens,
                                                 ", a longer prompt in several steps"));
}

absl::Status Engine::Parts::Grow(absl::Span<const StepInput> inputs) {
  int missing = 0;
  for (const StepInput& input : inputs) {
    missing += sequences.MissingBlocks(*sequences.Peek(input.sequence),
                                       static_cast<int>(input.tokens.size()));
  }
  if (missing > sequences.free_blocks()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the step needs ", missing, " KV cache blocks, ", sequences.free_blocks(),
                     " of ", sequences.total_blocks(),
                     " are free; compress or end a sequence, or give the cache more blocks"));
  }
  for (const StepInput& input : inputs) {
    PB_ASSIGN_OR_RETURN(SequenceState * state, sequences.Find(input.sequence));
    PB_RETURN_IF_ERROR(sequences.Grow(state, static_cast<int>(input.tokens.size())));
  }
  return absl::OkStatus();
}

void Engine::Parts::Shrink(absl::Span<const StepInput> inputs) {
  for (const StepInput& input : inputs) {
    const auto state = sequences.Find(input.sequence);
    if (!state.ok()) continue;
    for (RowTable& table : (*state)->tables) {
      sequences.Truncate(&table, sequences.BlocksFor(table.rows)).IgnoreError();
    }
  }
}

absl::StatusOr<StepBatch> Engine::Parts::MakeBatch(absl::Span<const StepInput> inputs) {
  StepBatch batch;
  for (const StepInput& input : inputs) {
    const SequenceState& state = *sequences.Peek(input.sequence);
    BatchEntry entry{
        .first_token = batch.size(), .tokens = static_cast<int>(input.tokens.size()), .tables = {}};
    for (std::size_t i = 0; i < state.tables.size(); ++i) {
      const RowTable& table = state.tables[i];
      const int known =
          shard == nullptr ? table.rows : shard->Rows(input.sequence, static_cast<int>(i));
      if (known != table.rows) {
        return absl::InternalError(absl::StrCat("sequence ", input.sequence, ", layer ", i,
                                                ": the shard counts ", known, " rows, the engine ",
                                                table.rows));
      }
      entry.tables.push_back({.resident_rows = table.rows, .blocks = table.blocks});
    }
    batch.entries.push_back(std::move(entry));
    for (std::size_t i = 0; i < input.tokens.size(); ++i) {
      batch.tokens.push_back(input.tokens[i]);
      batch.positions.push_back(state.length + static_cast<int>(i));
    }
  }
  return batch;
}

absl::Status Engine::Parts::BeginShardStep(const StepBatch& batch,
                                           absl::Span<const StepInput> inputs) {
  std::vector<StepEntry> entries;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const BatchEntry& entry = batch.entries[i];
    entries.push_back({.sequence = inputs[i].sequence,
                       .tokens = entry.tokens,
                       .block_tables = TablesOf(*sequences.Peek(inputs[i].sequence))});
  }
  return ToAbslStatus(shard->BeginStep(entries));
}

absl::Status Engine::Parts::EndShardStep(absl::Span<StepOutput> outputs) {
  PB_ASSIGN_OR_RETURN(std::vector<StepEntryResult> results, ToAbslStatusOr(shard->EndStep()));
  if (results.size() != outputs.size()) {
    return absl::InternalError("the shard ended a step of other sequences");
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    outputs[i].candidates = std::move(results[i].candidates);
    outputs[i].next_entropy = results[i].next_entropy;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StepOutput>> Engine::Parts::RunStep(absl::Span<const StepInput> inputs) {
  PB_ASSIGN_OR_RETURN(const StepBatch batch, MakeBatch(inputs));
  std::vector<StepOutput> outputs(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) outputs[i].sequence = inputs[i].sequence;
  if (shard != nullptr) PB_RETURN_IF_ERROR(BeginShardStep(batch, inputs));
  PB_RETURN_IF_ERROR(forward.Run(batch, cache.get(), shard));
  if (shard != nullptr) PB_RETURN_IF_ERROR(ToAbslStatus(shard->ExchangeScores()));
  PB_RETURN_IF_ERROR(logits.Run(batch, inputs, shard, absl::MakeSpan(outputs)));
  if (shard != nullptr) PB_RETURN_IF_ERROR(EndShardStep(absl::MakeSpan(outputs)));
  return outputs;
}

absl::StatusOr<std::vector<Shard::RoundEntry>> Engine::Parts::RoundEntries(
    absl::Span<const std::uint64_t> ids) {
  if (shard == nullptr) {
    return absl::FailedPreconditionError("no shard is attached: nothing can be compressed");
  }
  std::vector<Shard::RoundEntry> entries;
  for (const std::uint64_t sequence : ids) {
    PB_ASSIGN_OR_RETURN(const SequenceState* state, sequences.Find(sequence));
    if (state->swapped_out) return CheckAtRest(sequence, *state);
    entries.push_back({.sequence = sequence, .block_tables = TablesOf(*state)});
  }
  return entries;
}

absl::Status Engine::BeginRound(absl::Span<const std::uint64_t> sequences) {
  PB_ASSIGN_OR_RETURN(const auto entries, parts_->RoundEntries(sequences));
  PB_RETURN_IF_ERROR(ToAbslStatus(parts_->shard->BeginRound(entries)));
  for (const std::uint64_t sequence : sequences) {
    PB_ASSIGN_OR_RETURN(SequenceState * state, parts_->sequences.Find(sequence));
    state->in_round = true;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<RoundOutcome>> Engine::CommitRound(
    absl::Span<const std::uint64_t> sequences) {
  PB_ASSIGN_OR_RETURN(const auto entries, parts_->RoundEntries(sequences));
  PB_ASSIGN_OR_RETURN(std::vector<RoundOutcome> outcomes,
                      ToAbslStatusOr(parts_->shard->CommitRound(entries)));
  for (const RoundOutcome& outcome : outcomes) {
    PB_RETURN_IF_ERROR(parts_->ApplyOutcome(outcome));
  }
  return outcomes;
}

absl::Status Engine::Parts::ApplyOutcome(const RoundOutcome& outcome) {
  PB_ASSIGN_OR_RETURN(SequenceState * state, sequences.Find(outcome.sequence));
  state->in_round = false;
  if (!outcome.applied) return absl::OkStatus();
  if (outcome.rows.size() != state->tables.size() ||
      outcome.blocks.size() != state->tables.size()) {
    return absl::InternalError(absl::StrCat("sequence ", outcome.sequence,
                                            ": a round knows another number of block tables"));
  }
  for (std::size_t i = 0; i < state->tables.size(); ++i) {
    RowTable& table = state->tables[i];
    if (outcome.rows[i] > table.rows || outcome.blocks[i] < sequences.BlocksFor(outcome.rows[i])) {
      return absl::InternalError(absl::StrCat("sequence ", outcome.sequence, ": a round left ",
                                              outcome.rows[i], " rows in ", outcome.blocks[i],
                                              " blocks of ", table.rows, " rows"));
    }
    PB_RETURN_IF_ERROR(sequences.Truncate(&table, outcome.blocks[i]));
    table.rows = outcome.rows[i];
  }
  return absl::OkStatus();
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
  return BlocksUsed(sequence) * parts_->cache->BlockBytes();
}
std::size_t Engine::RowBytes() const { return parts_->cache->TokenBytes(); }
std::size_t Engine::BlockBytes() const { return parts_->cache->BlockBytes(); }
int Engine::free_blocks() const { return parts_->sequences.free_blocks(); }
int Engine::total_blocks() const { return parts_->sequences.total_blocks(); }

}  // namespace pinboard::engine
