// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/quality_signal.h"

#include <algorithm>
#include <vector>

#include "base/status_macros.h"
#include "shard/block_tables.h"

namespace pinboard {
namespace {

/// Digests of the band's pages that are not in the ring.
std::vector<std::int32_t> EvictedSlots(const LayerState& layer) {
  const scheduler::PageList& ring = layer.recall.ring();
  std::vector<std::uint32_t> evicted;
  for (const std::uint32_t page : layer.recall.pages()) {
    if (std::find(ring.begin(), ring.end(), page) == ring.end()) evicted.push_back(page);
  }
  return layer.digests.Slots(evicted);
}

}  // namespace

absl::Status QualitySignal::Sample(absl::Span<const StepSlice> slices, int layer) {
  const ShardModel& model = context_->options.model;
  const auto every = static_cast<std::uint64_t>(context_->options.quality_every);
  for (const StepSlice& slice : slices) {
    SequenceState& state = *slice.state;
    if (every == 0 || !state.recalls() || state.steps % every != 0) continue;
    const LayerState& of_layer = state.layers[layer];
    const std::vector<std::int32_t> evicted = EvictedSlots(of_layer);
    pending_.push_back({of_layer.ring_rows(), {}});
    PB_RETURN_IF_ERROR(context_->operations->EvictedAttention(
        {.layer = {model.cache[layer], model.kv, model.block_size,
                   TableOf(slice.entry.block_tables, layer)},
         .rows = of_layer.rows(),
         .ring_rows = of_layer.ring_rows(),
         .digests = of_layer.digests.view(),
         .evicted = evicted,
         .query = of_layer.queries.Last(1),
         .query_heads = model.query_heads,
         .attention_scale = model.attention_scale},
        &pending_.back().result));
  }
  return absl::OkStatus();
}

void QualitySignal::Collect() {
  ShardStats& stats = context_->stats;
  for (const Pending& sample : pending_) {
    ++stats.quality_samples;
    stats.evicted_attention += sample.result.evicted_share;
    stats.ring_rows_sampled += sample.ring_rows;
    stats.ring_rows_attended += sample.result.attended_ring_rows;
  }
  pending_.clear();
}

}  // namespace pinboard
