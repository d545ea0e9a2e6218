// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_opening.h"

#include <numeric>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "shard/head_round.h"
#include "shard/round_counts.h"

namespace pinboard {
namespace {

/// The plan of a layer before anything is decided: its rows, with the merged information.
LayerPlan StartLayer(const LayerState& layer, const LayerSignals& signals) {
  LayerPlan plan;
  plan.rows = layer.rows();
  plan.totals = signals.totals;
  plan.new_information.assign(signals.information.begin(), signals.information.end());
  return plan;
}

void KeepAll(const LayerState& layer, LayerPlan* plan) {
  const int ring_rows = layer.ring_rows();
  plan->kept_rows.resize(plan->rows - ring_rows);
  std::iota(plan->kept_rows.begin(), plan->kept_rows.end(), ring_rows);
}

absl::Status ChooseByHead(const SequenceState& state, int l, const LayerSignals& signals,
                          LayerPlan* plan) {
  std::vector<std::uint8_t> is_protected(plan->rows, 0);
  MarkProtected(state, state.layers[l], signals.order.rows, absl::MakeSpan(is_protected));
  PB_ASSIGN_OR_RETURN(plan->head_rows,
                      SelectHeadRows(signals.attention, is_protected, plan->counts.keep_rows));
  plan->kept_rows = plan->head_rows.front();
  plan->dropped = plan->rows - plan->counts.keep_rows;
  return absl::OkStatus();
}

}  // namespace

absl::Status OpenPlan(const ShardContext& context, const SequenceToChoose& sequence,
                      RoundRows* rows) {
  const SequenceState& state = *sequence.state;
  std::vector<LayerPlan> plans;
  std::vector<std::int64_t> information;
  for (std::size_t l = 0; l < sequence.signals.size(); ++l) {
    plans.push_back(StartLayer(state.layers[l], sequence.signals[l]));
    information.push_back(plans.back().totals.sum);
  }
  const auto counts = RoundCounts(state, context.options.model.block_size, information);
  if (!Compresses(counts)) return absl::OkStatus();
  sequence.plan->layers = std::move(plans);
  for (std::size_t l = 0; l < sequence.signals.size(); ++l) {
    LayerPlan& plan = sequence.plan->layers[l];
    plan.counts = counts[l];
    if (!plan.counts.compress) {
      KeepAll(state.layers[l], &plan);
    } else if (state.policy.per_head) {
      PB_RETURN_IF_ERROR(ChooseByHead(state, static_cast<int>(l), sequence.signals[l], &plan));
    } else {
      rows->Add(state, static_cast<int>(l), sequence.signals[l], &plan);
    }
  }
  return absl::OkStatus();
}

}  // namespace pinboard
