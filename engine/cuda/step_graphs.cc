// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/step_graphs.cuh"

#include "base/status_macros.h"
#include "engine/cuda/scratch.cuh"

namespace pinboard::engine {

void StepGraphs::Begin(const std::optional<StepShape>& shape, std::uint64_t formation) {
  of_step_ = nullptr;
  if (growths_ != ScratchGrowths() || formation_ != formation || graphs_.size() >= kMostShapes) {
    Forget();
    growths_ = ScratchGrowths();
    formation_ = formation;
  }
  if (!shape.has_value()) return;
  const auto [found, first] = graphs_.try_emplace(*shape);
  if (!first) of_step_ = &found->second;
}

absl::Status StepGraphs::Run(int index, absl::FunctionRef<absl::Status()> launch) {
  if (of_step_ == nullptr) return launch();
  if (index == static_cast<int>(of_step_->size())) {
    PB_ASSIGN_OR_RETURN(cuda::Graph graph, cuda::Graph::Capture(stream_, launch));
    of_step_->push_back(std::move(graph));
  }
  ++launched_;
  return (*of_step_)[index].Launch(stream_);
}

void StepGraphs::Forget() {
  of_step_ = nullptr;
  graphs_.clear();
}

}  // namespace pinboard::engine
