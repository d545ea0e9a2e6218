// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_counts.h"

#include <algorithm>

#include "scheduler/layer_budget.h"

namespace pinboard {

int ProtectedHead(const SequenceState& state) {
  return std::max(state.policy.method.sinks, state.policy.protect_prompt ? state.prompt_tokens : 0);
}

std::vector<scheduler::RoundPlan> RoundCounts(const SequenceState& state, int block_size,
                                              absl::Span<const std::int64_t> information) {
  scheduler::SequenceSnapshot snapshot{
      .length = state.length,
      .prompt_rows = std::min(state.prompt_tokens, state.length),
      .protected_rows = std::min(state.length, ProtectedHead(state) + state.policy.method.window),
      .block_size = block_size};
  const std::vector<std::int64_t> alike(state.layers.size(), 1);
  const std::vector<int> keep =
      scheduler::LayerBudgets(state.layer_share,
                              {.layers = static_cast<int>(state.layers.size()),
                               .keep_rows = scheduler::KeepRows(state.budget, snapshot),
                               .protected_rows = snapshot.protected_rows,
                               .length = state.length},
                              information.empty() ? absl::MakeConstSpan(alike) : information);
  std::vector<scheduler::RoundPlan> counts;
  for (std::size_t l = 0; l < state.layers.size(); ++l) {
    snapshot.rows = state.layers[l].rows();
    snapshot.ring_rows = state.layers[l].ring_rows();
    counts.push_back(scheduler::PlanRound(state.budget, snapshot, keep[l]));
  }
  return counts;
}

bool Compresses(absl::Span<const scheduler::RoundPlan> counts) {
  return std::any_of(counts.begin(), counts.end(),
                     [](const scheduler::RoundPlan& layer) { return layer.compress; });
}

}  // namespace pinboard
