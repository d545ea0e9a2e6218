// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The rows that a round chooses among, laid out for all layers at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "kernels/select/select.h"
#include "scheduler/band_plan.h"
#include "shard/round_plan.h"
#include "shard/round_signals.h"
#include "shard/sequence_state.h"

namespace pinboard {

/// A layer whose rows are selected.
struct RowsOfLayer {
  const SequenceState* state = nullptr;
  int index = 0;
  const LayerSignals* signals = nullptr;
  LayerPlan* plan = nullptr;
  std::size_t first = 0;  // where its rows begin in what is laid out
  std::vector<scheduler::BandPage> existing;

  const LayerState& before() const { return state->layers[index]; }
  std::size_t rows() const { return signals->order.rows.size(); }
  bool NeedsPositions() const;
};

/// Whatever is as long as a row: one layer's behind the other's, each in the order of positions.
struct RoundRows {
  std::vector<RowsOfLayer> layers;
  std::size_t count = 0;  // of all layers
  std::vector<std::int32_t> positions, information;
  std::vector<std::uint8_t> marks;  // protected; later kept, or in a page
  std::vector<kernels::RowClass> classes;
  std::vector<std::int64_t> scores;  // on the host, where they are needed there

  void Add(const SequenceState& state, int l, const LayerSignals& signals, LayerPlan* plan);
  /// visit(layer, its index) for each, of several at once where there are many rows: it writes to
  /// what is that layer's alone.
  void ForEachLayer(absl::FunctionRef<void(RowsOfLayer&, std::size_t)> visit);
  /// E and protection of all rows; positions where any layer asks for them.
  void LayOut();
};

/// The part of a layer in `all`, which is laid out.
template <typename Vector>
auto RowsOf(const RowsOfLayer& layer, Vector& all) {
  return absl::MakeSpan(all).subspan(layer.first, layer.rows());
}

/// Marks those that every round keeps; `order`, `marks`: in the order of positions.
void MarkProtected(const SequenceState& state, const LayerState& layer,
                   absl::Span<const std::int32_t> order, absl::Span<std::uint8_t> marks);

}  // namespace pinboard
