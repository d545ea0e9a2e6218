// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_signals.h"

#include <utility>

#include "base/bytes.h"
#include "base/parallel.h"
#include "base/status_macros.h"
#include "shard/block_tables.h"
#include "shard/head_round.h"
#include "shard/round_information.h"
#include "shard/round_threads.h"

namespace pinboard {
namespace {

bool TakesAttention(const SequenceState& state) {
  return state.policy.queries != AttentionQueries::kNone;
}
bool TakesRedundancy(const SequenceState& state) {
  return state.policy.keep == ScoreRule::kDistinct;
}

/// The first `count` of what is left.
absl::Span<std::int32_t> Take(absl::Span<std::int32_t>* left, std::size_t count) {
  const absl::Span<std::int32_t> taken = left->first(count);
  left->remove_prefix(count);
  return taken;
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
  if (!TakesRedundancy(*request.state)) return absl::OkStatus();
  if (context.kv_replica() != 0) {
    const std::vector<std::int32_t> nothing(signals->redundancy.size(), 0);
    return context.operations->Write(AsBytes(absl::MakeConstSpan(nothing)),
                                     AsBytes(signals->redundancy));
  }
  const ShardModel& model = context.options.model;
  return context.operations->KeyRedundancy(
      {model.cache[l], model.kv, model.block_size, TableOf(*request.block_tables, l),
       signals->order.rows, context.total_kv_heads()},
      signals->redundancy);
}

class Merger {
 public:
  Merger(ShardContext& context, absl::Span<const SignalRequest> requests, MergedSignals* merged)
      : context_(context),
        operations_(*context.operations),
        requests_(requests),
        merged_(*merged) {}

  absl::Status Run(absl::Time deadline) {
    CountValues();
    absl::Status own = Measure();
    if (context_.tp() > 1) {
      own.Update(operations_.Finish());
      PB_RETURN_IF_ERROR(SumOverRanks(deadline));
      if (own.ok()) {
        own = operations_.Write(AsBytes(absl::MakeConstSpan(merged_.on_host)), AsBytes(values_));
      }
    }
    if (own.ok()) own = AddTotals();
    own.Update(operations_.Finish());  // in any case: results go to what is merged
    std::size_t next = 0;
    ForEachLayer([&](const auto&, LayerSignals& signals) { signals.totals = totals_[next++]; });
    return own;
  }

 private:
  struct Sizes {
    std::size_t attention = 0, redundancy = 0, information = 0;
  };
  struct Place {
    const SignalRequest& request;
    int layer;
    const SequenceState& state() const { return *request.state; }
    const LayerState& before() const { return state().layers[layer]; }
  };

  /// visit(place, signals)
  template <typename Visit>
  void ForEachLayer(Visit visit) {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      auto& layers = merged_.sequences[i];
      for (std::size_t l = 0; l < layers.size(); ++l) {
        visit(Place{requests_[i], static_cast<int>(l)}, layers[l]);
      }
    }
  }

  Sizes SizesOf(const Place& place) const {
    const SequenceState& state = place.state();
    const std::size_t rows = place.before().positions.size();
    const std::size_t heads = state.policy.per_head ? context_.total_kv_heads() : 1;
    return {TakesAttention(state) ? heads * rows : 0, TakesRedundancy(state) ? rows : 0,
            static_cast<std::size_t>(state.length - state.merged_length)};
  }

  /// And where E goes on the host.
  void CountValues() {
    merged_.sequences.resize(requests_.size());
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      merged_.sequences[i].resize(requests_[i].state->layers.size());
    }
    first_information_ = {0};
    ForEachLayer([&](const Place& place, LayerSignals&) {
      const Sizes sizes = SizesOf(place);
      all_.attention += sizes.attention;
      all_.redundancy += sizes.redundancy;
      all_.information += sizes.information;
      first_information_.push_back(static_cast<std::int64_t>(all_.information));
      totals_.push_back(place.before().totals);
    });
    const bool merges = context_.tp() > 1;
    merged_.on_host.resize((merges ? all_.attention + all_.redundancy : 0) + all_.information);
    absl::Span<std::int32_t> information = absl::MakeSpan(merged_.on_host).last(all_.information);
    ForEachLayer([&](const Place& place, LayerSignals& signals) {
      signals.information = Take(&information, SizesOf(place).information);
    });
  }

  /// This rank's own, also on the host.
  absl::Status Measure() {
    PB_ASSIGN_OR_RETURN(values_,
                        merged_.values.Resize(all_.attention + all_.redundancy + all_.information));
    absl::Span<std::int32_t> attention = values_.first(all_.attention);
    absl::Span<std::int32_t> redundancy = values_.subspan(all_.attention, all_.redundancy);
    OrderAll();
    std::vector<RowsToScore> rows;
    absl::Status measured;
    ForEachLayer([&](const Place& place, LayerSignals& signals) {
      const Sizes sizes = SizesOf(place);
      signals.attention = Take(&attention, sizes.attention);
      signals.redundancy = Take(&redundancy, sizes.redundancy);
      measured.Update(Attention(context_, place.request, place.layer, &signals, &rows));
      measured.Update(Redundancy(context_, place.request, place.layer, &signals));
    });
    measured.Update(operations_.AttentionScore(rows));
    PB_RETURN_IF_ERROR(measured);
    absl::Span<std::int32_t> information = values_.last(all_.information);
    for (const SignalRequest& request : requests_) {
      const std::size_t pending = request.state->length - request.state->merged_length;
      PB_RETURN_IF_ERROR(InformPending(context_, *request.state,
                                       Take(&information, pending * request.state->layers.size())));
    }
    const absl::Span<std::int32_t> on_host = absl::MakeSpan(merged_.on_host);
    return operations_.Read(AsBytes(absl::MakeConstSpan(values_.last(on_host.size()))),
                            AsBytes(on_host));
  }

  void OrderAll() {
    std::vector<std::pair<const LayerState*, RowOrder*>> layers;
    std::size_t rows = 0;
    ForEachLayer([&](const Place& place, LayerSignals& signals) {
      layers.emplace_back(&place.before(), &signals.order);
      rows += place.before().positions.size();
    });
    ForEachInParallel(layers.size(), ThreadsForRows(rows), [&](std::size_t i) {
      const auto& [layer, order] = layers[i];
      *order = OrderRows(layer->positions, layer->ring_rows());
    });
  }

  absl::Status SumOverRanks(absl::Time deadline) {
    ForEachLayer([&](const Place& place, LayerSignals& signals) {
      KeepOwnShare(context_, place.state(), signals.information);
    });
    return context_.communicator->SumInt32(absl::MakeSpan(merged_.on_host), deadline);
  }

  absl::Status AddTotals() {
    return operations_.AddInformation(values_.last(all_.information), first_information_,
                                      absl::MakeSpan(totals_));
  }

  ShardContext& context_;
  Operations& operations_;
  const absl::Span<const SignalRequest> requests_;
  MergedSignals& merged_;
  Sizes all_;
  absl::Span<std::int32_t> values_;                 // in the operations' memory
  std::vector<std::int64_t> first_information_;     // [layers of all sequences + 1]
  std::vector<kernels::InformationTotals> totals_;  // [layers of all sequences]
};

}  // namespace

absl::Status MergeSignals(ShardContext& context, absl::Span<const SignalRequest> requests,
                          absl::Time deadline, MergedSignals* merged) {
  return Merger(context, requests, merged).Run(deadline);
}

}  // namespace pinboard
