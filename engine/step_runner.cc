// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/step_runner.h"

#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/public_status.h"
#include "base/status_macros.h"

namespace pinboard::engine {
namespace {

absl::Status BeginShardStep(const StepBatch& batch, absl::Span<const StepInput> inputs,
                            Shard* shard) {
  std::vector<StepEntry> entries;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    StepEntry entry{
        .sequence = inputs[i].sequence, .tokens = batch.entries[i].tokens, .block_tables = {}};
    for (const BatchTable& table : batch.entries[i].tables) {
      entry.block_tables.emplace_back(table.blocks);
    }
    entries.push_back(std::move(entry));
  }
  return ToAbslStatus(shard->BeginStep(entries));
}

absl::Status EndShardStep(Shard* shard, absl::Span<StepOutput> outputs) {
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

}  // namespace

absl::StatusOr<std::vector<StepOutput>> StepRunner::Run(absl::Span<const StepInput> inputs,
                                                        Shard* shard) {
  PB_RETURN_IF_ERROR(CheckInputs(inputs));
  PB_RETURN_IF_ERROR(Grow(inputs));
  absl::StatusOr<std::vector<StepOutput>> outputs = RunBatch(inputs, shard);
  if (outputs.ok()) {
    Advance(inputs);
  } else {
    Shrink(inputs);
  }
  return outputs;
}

absl::Status StepRunner::CheckInputs(absl::Span<const StepInput> inputs) const {
  std::size_t total = 0;
  absl::flat_hash_set<std::uint64_t> seen;
  for (const StepInput& input : inputs) {
    PB_ASSIGN_OR_RETURN(const SequenceState* state, sequences_->Find(input.sequence));
    PB_RETURN_IF_ERROR(CheckSwappedIn(input.sequence, *state));
    if (!seen.insert(input.sequence).second || input.tokens.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "sequence ", input.sequence, " must come once in a step, with at least one token"));
    }
    for (const std::int32_t token : input.tokens) {
      if (token >= 0 && token < limits_.vocab_size) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "token id ", token, " is outside the vocabulary of ", limits_.vocab_size, " tokens"));
    }
    total += input.tokens.size();
  }
  if (total > 0 && total <= static_cast<std::size_t>(limits_.max_tokens)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a step of ", total, " tokens: give it 1 to ",
                                                 limits_.max_tokens,
                                                 ", a longer prompt in several steps"));
}

absl::Status StepRunner::Grow(absl::Span<const StepInput> inputs) {
  int missing = 0;
  for (const StepInput& input : inputs) {
    missing += sequences_->MissingBlocks(*sequences_->Peek(input.sequence),
                                         static_cast<int>(input.tokens.size()));
  }
  if (missing > sequences_->free_blocks()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the step needs ", missing, " KV cache blocks, ", sequences_->free_blocks(),
                     " of ", sequences_->total_blocks(),
                     " are free; compress or end a sequence, or give the cache more blocks"));
  }
  for (const StepInput& input : inputs) {
    PB_ASSIGN_OR_RETURN(SequenceState * state, sequences_->Find(input.sequence));
    PB_ASSIGN_OR_RETURN(const BlockCopies copies,
                        sequences_->Grow(state, static_cast<int>(input.tokens.size())));
    PB_RETURN_IF_ERROR(forward_->cache().CopyBlocks(copies.from, copies.to));
    stats_->blocks_copied += static_cast<std::int64_t>(copies.to.size());
  }
  return absl::OkStatus();
}

void StepRunner::Shrink(absl::Span<const StepInput> inputs) {
  for (const StepInput& input : inputs) {
    const auto state = sequences_->Find(input.sequence);
    if (!state.ok()) continue;
    for (RowTable& table : (*state)->tables) {
      sequences_->Truncate(&table, sequences_->BlocksFor(table.rows)).IgnoreError();
    }
  }
}

void StepRunner::Advance(absl::Span<const StepInput> inputs) {
  for (const StepInput& input : inputs) {
    SequenceState& state = **sequences_->Find(input.sequence);
    const int tokens = static_cast<int>(input.tokens.size());
    for (RowTable& table : state.tables) table.rows += tokens;
    state.length += tokens;
  }
}

absl::StatusOr<StepBatch> StepRunner::MakeBatch(absl::Span<const StepInput> inputs,
                                                const Shard* shard) const {
  StepBatch batch;
  for (const StepInput& input : inputs) {
    const SequenceState& state = *sequences_->Peek(input.sequence);
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

absl::StatusOr<std::vector<StepOutput>> StepRunner::RunBatch(absl::Span<const StepInput> inputs,
                                                             Shard* shard) {
  PB_ASSIGN_OR_RETURN(const StepBatch batch, MakeBatch(inputs, shard));
  std::vector<StepOutput> outputs(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) outputs[i].sequence = inputs[i].sequence;
  if (shard != nullptr) PB_RETURN_IF_ERROR(BeginShardStep(batch, inputs, shard));
  PB_RETURN_IF_ERROR(forward_->Run(batch, shard));
  stats_->graphs_launched = forward_->graphs_launched();
  PB_RETURN_IF_ERROR(logits_->Run(batch, inputs, shard, absl::MakeSpan(outputs)));
  if (shard != nullptr) PB_RETURN_IF_ERROR(ToAbslStatus(shard->ExchangeScores()));
  if (shard != nullptr) PB_RETURN_IF_ERROR(EndShardStep(shard, absl::MakeSpan(outputs)));
  return outputs;
}

}  // namespace pinboard::engine
