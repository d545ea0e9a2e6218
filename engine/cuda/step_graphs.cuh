// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Steps that are launched as graphs.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/cuda/graph.h"

namespace pinboard::engine {

/// All that a step's launches depend on but the contents of memory that stays where it is: sizes
/// and grids.
struct StepShape {
  int tokens = 0;
  int tables = 0;  // of a sequence
  int small_tiles = 0;
  int large_tiles = 0;
  int small_rows = 0;  // that the attention of a tile is divided for
  int large_rows = 0;

  template <typename H>
  friend H AbslHashValue(H h, const StepShape& s) {
    return H::combine(std::move(h), s.tokens, s.tables, s.small_tiles, s.large_tiles, s.small_rows,
                      s.large_rows);
  }
  friend bool operator==(const StepShape&, const StepShape&) = default;
};

/// The stretches of a step between calls of the shard. A shape's first step is launched as ever
/// (memory grows, products are planned), its second is captured, later ones are replayed. Where
/// scratch has moved since (scratch.cuh), the group has been formed anew, or many shapes have been
/// seen, all graphs are forgotten. Ranks whose steps have the same shapes and sizes launch, capture
/// and replay the same steps. Thread-compatible.
class StepGraphs {
 public:
  explicit StepGraphs(cudaStream_t stream) : stream_(stream) {}

  /// Opens a step; without a shape it is launched as ever. `formation`: of the group whose sums are
  /// captured.
  void Begin(const std::optional<StepShape>& shape, std::uint64_t formation);
  /// Stretch `index` of the step, counted from 0: by `launch`, which launches the same in every
  /// step of this shape, or by the graph of it.
  absl::Status Run(int index, absl::FunctionRef<absl::Status()> launch);
  /// After a step that failed: a group that was given up ends only when the graphs of its sums are
  /// gone.
  void Forget();

  /// Stretches that were launched as graphs.
  std::int64_t launched() const { return launched_; }

 private:
  static constexpr std::size_t kMostShapes = 64;
  using Stretches = std::vector<cuda::Graph>;

  cudaStream_t stream_;
  absl::flat_hash_map<StepShape, Stretches> graphs_;  // empty: one step has been launched
  // When they were captured:
  std::uint64_t growths_ = 0;  // of scratch
  std::uint64_t formation_ = 0;
  Stretches* of_step_ = nullptr;  // null: not captured
  std::int64_t launched_ = 0;
};

}  // namespace pinboard::engine
