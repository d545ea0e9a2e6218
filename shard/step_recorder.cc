// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/step_recorder.h"

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/prefetch.h"
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
  to_copy_.clear();
  tokens_ = 0;
  logits_seen_ = 0;
  for (const StepEntry& entry : entries) tokens_ += entry.tokens;
  PB_RETURN_IF_ERROR(MakeRoom());
  int first_token = 0;
  for (const StepEntry& entry : entries) {
    SequenceState& state = context_->sequences.at(entry.sequence);
    slices_.push_back({&state, entry, first_token, state.length});
    first_token += entry.tokens;
    state.length += entry.tokens;
    ++state.steps;
    for (LayerState& layer : state.layers) {
      for (int position = state.length - entry.tokens; position < state.length; ++position) {
        layer.positions.push_back(position);
      }
      layer.information.resize(layer.positions.size(), 0);
    }
  }
  return absl::OkStatus();
}

absl::Status StepRecorder::MakeRoom() {
  const auto top_k = static_cast<std::size_t>(context_->options.top_k);
  values_.Truncate(0);
  ids_.Truncate(0);
  PB_RETURN_IF_ERROR(values_.Resize(tokens_ * top_k).status());
  PB_RETURN_IF_ERROR(ids_.Resize(tokens_ * top_k).status());
  shift_.resize(static_cast<std::size_t>(context_->options.model.layers) * tokens_);
  hidden_.Truncate(0);
  PB_RETURN_IF_ERROR(hidden_.Resize(shift_.size() * state_dim()).status());
  return absl::OkStatus();
}

absl::Status StepRecorder::Queries(int layer, absl::Span<const float> queries) {
  const ShardModel& model = context_->options.model;
  PB_RETURN_IF_ERROR(
      Remember(layer, queries, model.query_heads * model.kv.key_dim, &LayerState::queries));
  return Copy();
}

absl::Status StepRecorder::Copy() {
  absl::Status copied = context_->operations->CopyAll(to_copy_);
  to_copy_.clear();
  return copied;
}

absl::Status StepRecorder::LogSumExps(int layer, absl::Span<const float> log_sum_exps) {
  return Remember(layer, log_sum_exps, context_->options.model.query_heads,
                  &LayerState::log_sum_exps);
}

absl::Status StepRecorder::Remember(int layer, absl::Span<const float> values, int width,
                                    QueryWindow LayerState::*window) {
  if (values.size() != static_cast<std::size_t>(tokens_) * width) {
    return absl::InvalidArgumentError(absl::StrCat("layer ", layer, ": ", values.size(),
                                                   " values of queries for ", tokens_,
                                                   " tokens of ", width));
  }
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    constexpr std::size_t kAhead = 4;
    if (i + kAhead < slices_.size()) Prefetch(slices_[i + kAhead].state->layers[layer].*window);
    const StepSlice& slice = slices_[i];
    PB_ASSIGN_OR_RETURN(
        const absl::Span<float> to,
        (slice.state->layers[layer].*window).Extend(slice.entry.tokens, slice.first_position));
    const std::size_t end =
        static_cast<std::size_t>(slice.first_token + slice.entry.tokens) * width;
    to_copy_.push_back({values.subspan(end - to.size(), to.size()), to.data()});
  }
  return absl::OkStatus();
}

absl::Status StepRecorder::Hidden(int layer, absl::Span<const float> hidden) {
  const ShardModel& model = context_->options.model;
  if (hidden.size() != static_cast<std::size_t>(tokens_) * model.hidden_dim) {
    return absl::InvalidArgumentError(absl::StrCat("layer ", layer, ": ", hidden.size(),
                                                   " hidden values for ", tokens_, " tokens of ",
                                                   model.hidden_dim));
  }
  const std::size_t values = static_cast<std::size_t>(tokens_) * state_dim();
  PB_ASSIGN_OR_RETURN(const absl::Span<float> states, hidden_.Resize(hidden_.size()));
  const absl::Span<float> own = states.subspan(layer * values, values);
  if (context_->options.sketch_dim == 0) {
    to_copy_.push_back({hidden, own.data()});
  } else {
    PB_RETURN_IF_ERROR(context_->operations->ProjectionSketch(hidden, tokens_, model.hidden_dim,
                                                              state_dim(), own));
  }
  if (layer + 1 < model.layers) return absl::OkStatus();
  PB_RETURN_IF_ERROR(Copy());
  return context_->operations->RepresentationShift(states, own, tokens_, state_dim(),
                                                   absl::MakeSpan(shift_));
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
  PB_ASSIGN_OR_RETURN(const absl::Span<float> values, values_.Resize(values_.size()));
  PB_ASSIGN_OR_RETURN(const absl::Span<std::int32_t> ids, ids_.Resize(ids_.size()));
  return context_->operations->TopKLogits(logits, tokens, model.vocab_local, model.vocab_begin,
                                          context_->options.top_k,
                                          values.subspan(first_token * top_k, tokens * top_k),
                                          ids.subspan(first_token * top_k, tokens * top_k));
}

absl::Status StepRecorder::ReadLastCandidates(absl::Span<float> values,
                                              absl::Span<std::int32_t> ids) const {
  const auto top_k = static_cast<std::size_t>(context_->options.top_k);
  const auto last = [this](std::size_t slice) {
    return static_cast<std::size_t>(slices_[slice].first_token + slices_[slice].entry.tokens - 1);
  };
  for (std::size_t begin = 0; begin < slices_.size();) {
    std::size_t end = begin + 1;  // of rows that lie side by side, as in decoding all do
    while (end < slices_.size() && last(end) == last(end - 1) + 1) ++end;
    const auto read = [&](auto from, auto to) {
      const auto rows = from.subspan(last(begin) * top_k, (end - begin) * top_k);
      return context_->operations->Read(AsBytes(rows),
                                        AsBytes(to.subspan(begin * top_k, rows.size())));
    };
    PB_RETURN_IF_ERROR(read(values_.view(), values));
    PB_RETURN_IF_ERROR(read(ids_.view(), ids));
    begin = end;
  }
  return absl::OkStatus();
}

void StepRecorder::Finish(absl::Span<const float> entropy_after) {
  for (const StepSlice& slice : slices_) {
    const auto own = entropy_after.subspan(slice.first_token, slice.entry.tokens);
    slice.state->entropy_after.insert(slice.state->entropy_after.end(), own.begin(), own.end());
    for (std::size_t layer = 0; layer < slice.state->layers.size(); ++layer) {
      auto& pending = slice.state->layers[layer].pending_shift;
      const auto first =
          shift_.begin() + static_cast<std::ptrdiff_t>(layer * tokens_) + slice.first_token;
      pending.insert(pending.end(), first, first + slice.entry.tokens);
    }
  }
  slices_.clear();
}

std::size_t StepRecorder::workspace_bytes() const {
  return (hidden_.capacity() + values_.capacity()) * sizeof(float) +
         ids_.capacity() * sizeof(std::int32_t);
}

}  // namespace pinboard
