// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_export.h"

#include <algorithm>

namespace pinboard {

std::vector<PlannedLayer> ExportPlan(const SequenceState& state, const SequencePlan& plan) {
  std::vector<PlannedLayer> layers;
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    const LayerPlan& from = plan.layers[l];
    PlannedLayer to;
    for (const std::int32_t row : from.kept_rows) {
      to.kept.push_back(state.layers[l].positions[row]);
    }
    for (const scheduler::NewPage& page : from.band.publish) {
      for (const scheduler::BorderlineRow& row : page.rows) to.offloaded.push_back(row.position);
    }
    std::sort(to.offloaded.begin(), to.offloaded.end());
    to.dropped = from.dropped;
    to.kept_scores = from.kept_scores;
    to.other_scores = from.other_scores;
    layers.push_back(std::move(to));
  }
  return layers;
}

}  // namespace pinboard
