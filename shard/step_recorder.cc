// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/step_recorder.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/block_tables.h"

namespace pinboard {
namespace {

absl::Status CheckEntry(const ShardContext& context, const StepEntry& entry) {
  const auto found = context.sequences.find(entry.sequence);
  if (found == context.sequences.end()) {
    return absl::NotFoundError(absl::StrCat("sequence ", entry.sequence, " was never added"));
  }
  if (entry.tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("sequence ", entry.sequence, " joins a step with ", entry.tokens, " tokens"));
  }
  const ShardModel& model = context.options.model;
  PB_RETURN_IF_ERROR(CheckTables(model, entry.sequence, entry.block_tables));
  for (int l = 0; l < model.layers; ++l) {
    const auto slots = TableOf(entry.block_tables, l).size() * std::size_t(model.block_size);
    const int rows = found->second.layers[l].rows() + entry.tokens;
    if (static_cast<std::size_t>(rows) <= slots) continue;
    return absl::InvalidArgumentError(absl::StrCat("layer ", l, ": the block table of sequence ",
                                                   entry.sequence, " has ", slots, " slots for ",
                                                   rows, " rows"));
  }
  return absl::OkStatus();
}

}  // namespace

int StepRecorder::state_dim() const {
  const ShardOptions& options = context_->options;
  return options.sketch_dim > 0 ? options.sketch_dim : options.model.hidden_dim;
}

absl::Status StepRecorder::Begin(std::span<const StepEntry> entries) {
  for (const StepEntry& entry : entries) PB_RETURN_IF_ERROR(CheckEntry(*context_, entry));
  slices_.clear();
  tokens_ = 0;
  logits_seen_ = 0;
  for (const StepEntry& entry : entries) {
    SequenceState& state = context_->sequences.at(entry.sequence);
    slices_.push_back({&state, entry, tokens_, state.length});
    tokens_ += entry.tokens;
    state.length += entry.tokens;
    ++state.steps;
    for (LayerState& layer : state.layers) {
      for (int position = state.length - entry.tokens; position < state.length; ++position) {
        layer.positions.push_back(position);
      }
      layer.information.resize(layer.positions.size(), 0);
    }
  }
  const auto top_k = static_cast<std::size_t>(context_->options.top_k);
  values_.resize(tokens_ * top_k);
  ids_.resize(tokens_ * top_k);
  const auto layers = static_cast<std::size_t>(context_->options.model.layers);
  hidden_.resize(layers, SpaceVector<float>(context_->operations->memory()));
  shift_.resize(layers * tokens_);
  return absl::OkStatus();
}

absl::Status StepRecorder::Queries(int layer, absl::Span<const float> queries) {
  const ShardModel& model = context_->options.model;
  const std::size_t width = static_cast<std::size_t>(model.query_heads) * model.kv.key_dim;
  if (queries.size() != tokens_ * width) {
    return absl::InvalidArgumentError(absl::StrCat("layer ", layer, ": ", queries.size(),
                                                   " query values for ", tokens_, " tokens of ",
                                                   width));
  }
  std::vector<FloatCopy> copies;
  for (const StepSlice& slice : slices_) {
    PB_ASSIGN_OR_RETURN(
        const absl::Span<float> room,
        slice.state->layers[layer].queries.Extend(slice.entry.tokens, slice.first_position));
    const std::size_t end = (slice.first_token + slice.entry.tokens) * width;
    copies.push_back({queries.subspan(end - room.size(), room.size()), room.data()});
  }
  return context_->operations->CopyAll(copies);
}

absl::Status StepRecorder::Hidden(int layer, absl::Span<const float> hidden) {
  const ShardModel& model = context_->options.model;
  if (hidden.size() != static_cast<std::size_t>(tokens_) * model.hidden_dim) {
    return absl::InvalidArgumentError(absl::StrCat("layer ", layer, ": ", hidden.size(),
                                                   " hidden values for ", tokens_, " tokens of ",
                                                   model.hidden_dim));
  }
  if (context_->options.sketch_dim == 0) {
    PB_RETURN_IF_ERROR(hidden_[layer].Assign(hidden));
  } else {
    PB_ASSIGN_OR_RETURN(const absl::Span<float> sketch,
                        hidden_[layer].Resize(static_cast<std::size_t>(tokens_) * state_dim()));
    PB_RETURN_IF_ERROR(context_->operations->ProjectionSketch(hidden, tokens_, model.hidden_dim,
                                                              state_dim(), sketch));
  }
  return layer + 1 == model.layers ? Shift() : absl::OkStatus();
}

absl::Status StepRecorder::Shift() {
  for (std::size_t layer = 0; layer < hidden_.size(); ++layer) {
    PB_RETURN_IF_ERROR(context_->operations->RepresentationShift(
        hidden_[layer].view(), hidden_.back().view(), tokens_, state_dim(),
        absl::MakeSpan(shift_).subspan(layer * tokens_, tokens_)));
  }
  return absl::OkStatus();
}

absl::Status StepRecorder::Logits(int first_token, int tokens, absl::Span<const float> logits) {
  if (first_token != logits_seen_ || first_token + tokens > tokens_) {
    return absl::InvalidArgumentError(
        absl::StrCat("logits of tokens ", first_token, " to ", first_token + tokens,
                     " out of order: ", logits_seen_, " of ", tokens_, " seen"));
  }
  const ShardModel& model = context_->options.model;
  const auto top_k = static_cast<std::size_t>(context_->options.top_k);
  logits_seen_ += tokens;
  return context_->operations->TopKLogits(
      logits, tokens, model.vocab_local, model.vocab_begin, context_->options.top_k,
      absl::MakeSpan(values_).subspan(first_token * top_k, tokens * top_k),
      absl::MakeSpan(ids_).subspan(first_token * top_k, tokens * top_k));
}

std::vector<std::int32_t> StepRecorder::LastTokenIds() const {
  const auto top_k = static_cast<std::size_t>(context_->options.top_k);
  std::vector<std::int32_t> last;
  last.reserve(slices_.size() * top_k);
  for (const StepSlice& slice : slices_) {
    const auto first = ids_.begin() + (slice.first_token + slice.entry.tokens - 1) * top_k;
    last.insert(last.end(), first, first + top_k);
  }
  return last;
}

void StepRecorder::Finish(absl::Span<const float> entropy_after) {
  for (const StepSlice& slice : slices_) {
    const auto own = entropy_after.subspan(slice.first_token, slice.entry.tokens);
    slice.state->entropy_after.insert(slice.state->entropy_after.end(), own.begin(), own.end());
    for (std::size_t layer = 0; layer < hidden_.size(); ++layer) {
      auto& pending = slice.state->layers[layer].pending_shift;
      const auto first =
          shift_.begin() + static_cast<std::ptrdiff_t>(layer * tokens_) + slice.first_token;
      pending.insert(pending.end(), first, first + slice.entry.tokens);
    }
  }
  slices_.clear();
}

std::size_t StepRecorder::workspace_bytes() const {
  std::size_t bytes = values_.capacity() * sizeof(float) + ids_.capacity() * sizeof(std::int32_t);
  for (const auto& hidden : hidden_) bytes += hidden.capacity() * sizeof(float);
  return bytes;
}

}  // namespace pinboard
