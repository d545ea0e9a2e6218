// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_signals.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/status_macros.h"
#include "kernels/influence/influence.h"
#include "shard/block_tables.h"
#include "shard/head_round.h"

namespace pinboard {
namespace {

bool TakesAttention(const SequenceState& state) {
  return state.policy.queries != AttentionQueries::kNone;
}
bool TakesRedundancy(const SequenceState& state) {
  return state.policy.keep == ScoreRule::kDistinct;
}

/// Gives each layer's signals their place in `merged`.
void MakeRoom(const ShardContext& context, absl::Span<const SignalRequest> requests,
              MergedSignals* merged) {
  std::vector<absl::Span<std::int32_t>*> parts;
  std::vector<std::size_t> sizes;
  const auto add = [&](absl::Span<std::int32_t>* part, std::size_t size) {
    parts.push_back(part);
    sizes.push_back(size);
  };
  merged->sequences.resize(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const SequenceState& state = *requests[i].state;
    const std::size_t heads = state.policy.per_head ? context.total_kv_heads() : 1;
    merged->sequences[i].resize(state.layers.size());
    for (std::size_t l = 0; l < state.layers.size(); ++l) {
      LayerSignals& signals = merged->sequences[i][l];
      const std::size_t rows = state.layers[l].positions.size();
      if (TakesAttention(state)) add(&signals.attention, heads * rows);
      if (TakesRedundancy(state)) add(&signals.redundancy, rows);
      add(&signals.information, state.length - state.merged_length);
    }
  }
  merged->values.resize(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}));
  std::size_t taken = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    *parts[i] = absl::MakeSpan(merged->values).subspan(taken, sizes[i]);
    taken += sizes[i];
  }
}

/// What a launch can do for all layers and sequences joins `rows`.
absl::Status Attention(const ShardContext& context, const SignalRequest& request, int l,
                       LayerSignals* signals, std::vector<RowsToScore>* rows) {
  const SequenceState& state = *request.state;
  const ShardModel& model = context.options.model;
  const LayerState& layer = state.layers[l];
  if (!TakesAttention(state)) return absl::OkStatus();
  if (state.policy.per_head) return HeadAttention(context, request, l, signals->attention);
  const int window = state.policy.queries == AttentionQueries::kAll ? QueryWindow::kUnlimited
                                                                    : state.policy.window;
  if (state.policy.queries == AttentionQueries::kExpected) {
    return context.operations->ExpectedAttention(
        {model.cache[l], model.kv, model.block_size, TableOf(*request.block_tables, l),
         signals->order.rows, layer.queries.Last(window), layer.queries.LastPositions(window),
         model.query_heads, model.total_query_heads, model.attention_scale, model.rotary,
         state.length},
        signals->attention);
  }
  const auto positions = layer.queries.LastPositions(window);
  const bool has_sums = layer.log_sum_exps.LastPositions(window) == positions;
  rows->push_back(
      {{model.cache[l], model.kv, model.block_size, TableOf(*request.block_tables, l),
        layer.positions, layer.ring_rows(), signals->order.rows, layer.queries.Last(window),
        positions, model.query_heads, model.total_query_heads, model.attention_scale,
        state.policy.pool, has_sums ? layer.log_sum_exps.Last(window) : absl::Span<const float>()},
       signals->attention});
  return absl::OkStatus();
}

/// Of the ranks that hold the same keys the first one contributes.
absl::Status Redundancy(const ShardContext& context, const SignalRequest& request, int l,
                        LayerSignals* signals) {
  if (!TakesRedundancy(*request.state) || context.kv_replica() != 0) return absl::OkStatus();
  const ShardModel& model = context.options.model;
  return context.operations->KeyRedundancy(
      {model.cache[l], model.kv, model.block_size, TableOf(*request.block_tables, l),
       signals->order.rows, context.total_kv_heads()},
      signals->redundancy);
}

/// H of the pending tokens, aligned as the policy asks.
std::vector<float> PendingEntropy(const SequenceState& state) {
  const auto first = state.entropy_after.begin() + (state.policy.method.align_at ? 1 : 0);
  std::vector<float> entropy(first, first + (state.length - state.merged_length));
  if (state.policy.method.entropy_over_log_k) {
    const float log_k = std::log(static_cast<float>(state.policy.method.top_k));
    for (float& value : entropy) value /= log_k;
  }
  return entropy;
}

/// E of the pending tokens in all layers; this rank's share of the sum.
absl::Status Information(const ShardContext& context, const SequenceState& state,
                         absl::Span<LayerSignals> layers) {
  std::vector<float> entropy = PendingEntropy(state);
  double tau = state.policy.method.tau;
  std::vector<float> same_shift;  // of all layers
  if (state.policy.information == InformationSignal::kEntropy) {
    same_shift.assign(entropy.size(), 0.0F);
    tau = 1.0;
  } else if (state.policy.information == InformationSignal::kShift) {
    std::fill(entropy.begin(), entropy.end(), 1.0F);
    tau = 0.0;
  }
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const absl::Span<std::int32_t> out = layers[l].information;
    const std::vector<float>& own_shift = state.layers[l].pending_shift;
    PB_RETURN_IF_ERROR(
        kernels::Information(same_shift.empty() ? own_shift : same_shift, entropy, tau, out));
    if (context.tp() == 1) continue;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const int position = state.merged_length + static_cast<int>(i);
      if (position % context.tp() != context.rank()) out[i] = 0;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MergeSignals(ShardContext& context, absl::Span<const SignalRequest> requests,
                          absl::Time deadline, MergedSignals* merged) {
  MakeRoom(context, requests, merged);
  absl::Status own;
  std::vector<RowsToScore> rows;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const SequenceState& state = *requests[i].state;
    for (std::size_t l = 0; l < state.layers.size(); ++l) {
      LayerSignals& signals = merged->sequences[i][l];
      signals.order = OrderRows(state.layers[l].positions, state.layers[l].ring_rows());
      own.Update(Attention(context, requests[i], static_cast<int>(l), &signals, &rows));
      own.Update(Redundancy(context, requests[i], static_cast<int>(l), &signals));
    }
  }
  own.Update(context.operations->AttentionScore(rows));
  for (std::size_t i = 0; i < requests.size(); ++i) {  // while a device scores
    own.Update(Information(context, *requests[i].state, absl::MakeSpan(merged->sequences[i])));
  }
  own.Update(context.operations->Finish());
  if (context.tp() == 1) return own;
  PB_RETURN_IF_ERROR(context.communicator->SumInt32(absl::MakeSpan(merged->values), deadline));
  return own;
}

}  // namespace pinboard
