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

/// The ring's rows stand first and in any order; those behind them ascend.
std::vector<std::int32_t> RowsByPosition(absl::Span<const std::int32_t> positions) {
  std::vector<std::int32_t> rows(positions.size());
  std::iota(rows.begin(), rows.end(), 0);
  std::sort(rows.begin(), rows.end(),
            [&](std::int32_t a, std::int32_t b) { return positions[a] < positions[b]; });
  return rows;
}

/// What a launch can do for all layers and sequences joins `rows`.
absl::Status Attention(const ShardContext& context, const SignalRequest& request, int l,
                       LayerSignals* signals, std::vector<RowsToScore>* rows) {
  const SequenceState& state = *request.state;
  const ShardModel& model = context.options.model;
  const LayerState& layer = state.layers[l];
  if (state.policy.queries == AttentionQueries::kNone) return absl::OkStatus();
  if (state.policy.per_head) return HeadAttention(context, request, l, &signals->attention);
  const int window = state.policy.queries == AttentionQueries::kAll ? QueryWindow::kUnlimited
                                                                    : state.policy.window;
  signals->attention.resize(layer.rows());
  if (state.policy.queries == AttentionQueries::kExpected) {
    return context.operations->ExpectedAttention(
        {model.cache[l], model.kv, model.block_size, TableOf(*request.block_tables, l),
         signals->order, layer.queries.Last(window), layer.queries.LastPositions(window),
         model.query_heads, model.total_query_heads, model.attention_scale, model.rotary,
         state.length},
        absl::MakeSpan(signals->attention));
  }
  const auto positions = layer.queries.LastPositions(window);
  const bool has_sums = layer.log_sum_exps.LastPositions(window) == positions;
  rows->push_back(
      {{model.cache[l], model.kv, model.block_size, TableOf(*request.block_tables, l),
        layer.positions, layer.ring_rows(), signals->order, layer.queries.Last(window), positions,
        model.query_heads, model.total_query_heads, model.attention_scale, state.policy.pool,
        has_sums ? layer.log_sum_exps.Last(window) : absl::Span<const float>()},
       absl::MakeSpan(signals->attention)});
  return absl::OkStatus();
}

/// Of the ranks that hold the same keys the first one contributes.
absl::Status Redundancy(const ShardContext& context, const SignalRequest& request, int l,
                        LayerSignals* signals) {
  if (request.state->policy.keep != ScoreRule::kDistinct) return absl::OkStatus();
  signals->redundancy.assign(request.state->layers[l].rows(), 0);
  if (context.kv_replica() != 0) return absl::OkStatus();
  const ShardModel& model = context.options.model;
  return context.operations->KeyRedundancy(
      {model.cache[l], model.kv, model.block_size, TableOf(*request.block_tables, l),
       signals->order, context.total_kv_heads()},
      absl::MakeSpan(signals->redundancy));
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

absl::Status Information(const ShardContext& context, const SequenceState& state, int l,
                         std::vector<std::int32_t>* out) {
  std::vector<float> entropy = PendingEntropy(state);
  std::vector<float> shift = state.layers[l].pending_shift;
  double tau = state.policy.method.tau;
  if (state.policy.information == InformationSignal::kEntropy) {
    std::fill(shift.begin(), shift.end(), 0.0F);
    tau = 1.0;
  } else if (state.policy.information == InformationSignal::kShift) {
    std::fill(entropy.begin(), entropy.end(), 1.0F);
    tau = 0.0;
  }
  out->resize(entropy.size());
  PB_RETURN_IF_ERROR(kernels::Information(shift, entropy, tau, absl::MakeSpan(*out)));
  for (std::size_t i = 0; i < out->size(); ++i) {
    if ((state.merged_length + static_cast<int>(i)) % context.tp() != context.rank()) (*out)[i] = 0;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MergeSignals(ShardContext& context, absl::Span<const SignalRequest> requests,
                          absl::Time deadline, std::vector<std::vector<LayerSignals>>* merged) {
  merged->assign(requests.size(), std::vector<LayerSignals>(context.options.model.layers));
  absl::Status own;
  std::vector<RowsToScore> rows;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    for (std::size_t l = 0; l < (*merged)[i].size(); ++l) {
      LayerSignals& signals = (*merged)[i][l];
      signals.order = RowsByPosition(requests[i].state->layers[l].positions);
      own.Update(Attention(context, requests[i], static_cast<int>(l), &signals, &rows));
      own.Update(Redundancy(context, requests[i], static_cast<int>(l), &signals));
      own.Update(
          Information(context, *requests[i].state, static_cast<int>(l), &signals.information));
    }
  }
  own.Update(context.operations->AttentionScore(rows));
  own.Update(context.operations->Finish());
  if (context.tp() == 1) return own;
  std::vector<std::int32_t> buffer;
  for (const auto& layers : *merged) {
    for (const LayerSignals& signals : layers) {
      for (const auto* part : {&signals.attention, &signals.redundancy, &signals.information}) {
        buffer.insert(buffer.end(), part->begin(), part->end());
      }
    }
  }
  PB_RETURN_IF_ERROR(context.communicator->SumInt32(absl::MakeSpan(buffer), deadline));
  auto from = buffer.begin();
  for (auto& layers : *merged) {
    for (LayerSignals& signals : layers) {
      for (auto* part : {&signals.attention, &signals.redundancy, &signals.information}) {
        std::copy(from, from + static_cast<std::ptrdiff_t>(part->size()), part->begin());
        from += static_cast<std::ptrdiff_t>(part->size());
      }
    }
  }
  return own;
}

}  // namespace pinboard
