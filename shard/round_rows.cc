// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_rows.h"

#include <algorithm>

#include "base/parallel.h"
#include "kernels/influence/influence_core.h"
#include "shard/round_counts.h"
#include "shard/round_threads.h"

namespace pinboard {

bool RowsOfLayer::NeedsPositions() const {
  return state->scope == scheduler::KeepScope::kGlobal ||
         kernels::NeedsPositions(state->policy.keep) || kernels::NeedsPositions(state->policy.band);
}

void RoundRows::Add(const SequenceState& state, int l, const LayerSignals& signals,
                    LayerPlan* plan) {
  layers.push_back({&state, l, &signals, plan, count, {}});
  count += layers.back().rows();
}

void RoundRows::ForEachLayer(absl::FunctionRef<void(RowsOfLayer&, std::size_t)> visit) {
  ForEachInParallel(layers.size(), ThreadsForRows(count),
                    [&](std::size_t i) { visit(layers[i], i); });
}

void RoundRows::LayOut() {
  information.resize(count);
  marks.assign(count, 0);
  classes.resize(count);
  const auto needs_positions = [](const RowsOfLayer& layer) { return layer.NeedsPositions(); };
  if (std::any_of(layers.begin(), layers.end(), needs_positions)) positions.resize(count);
  ForEachLayer([&](const RowsOfLayer& layer, std::size_t) {
    const auto& order = layer.signals->order.rows;
    const auto information_of_layer = RowsOf(layer, information);
    // New rows have the highest positions.
    const std::size_t old_rows = layer.plan->old_rows();
    const std::int32_t* const known = layer.before().information.data();
    for (std::size_t i = 0; i < old_rows; ++i) information_of_layer[i] = known[order[i]];
    std::copy(layer.plan->new_information.begin(), layer.plan->new_information.end(),
              information_of_layer.begin() + static_cast<std::ptrdiff_t>(old_rows));
    MarkProtected(*layer.state, layer.before(), order, RowsOf(layer, marks));
    if (!layer.NeedsPositions()) return;
    const auto positions_of_layer = RowsOf(layer, positions);
    for (std::size_t i = 0; i < order.size(); ++i) {
      positions_of_layer[i] = layer.before().positions[order[i]];
    }
  });
}

void MarkProtected(const SequenceState& state, const LayerState& layer,
                   absl::Span<const std::int32_t> order, absl::Span<std::uint8_t> marks) {
  const auto place = [&](std::int32_t position) {
    const auto is_before = [&](std::int32_t row, std::int32_t wanted) {
      return layer.positions[row] < wanted;
    };
    return std::lower_bound(order.begin(), order.end(), position, is_before) - order.begin();
  };
  const std::ptrdiff_t head = place(ProtectedHead(state));
  const std::ptrdiff_t recent = place(state.length - state.policy.method.window);
  std::fill(marks.begin(), marks.begin() + head, 1);
  std::fill(marks.begin() + std::max(head, recent), marks.end(), 1);
}

}  // namespace pinboard
