// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Recall within the step: a layer's pages, chosen by this step's queries, are there when it attends
// (docs/adr/0011).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/space_vector.h"
#include "shard/context.h"
#include "shard/page_fetcher.h"
#include "shard/ring_pages.h"
#include "shard/step_recorder.h"

namespace pinboard {

/// With recall_ahead = L >= 1, at layer l: the queries foreseen for layer l + L score its digests;
/// ONE sum carries these scores and, for layer l, which fetches each rank holds; then the fetches
/// for l + L start, and what all hold for l becomes visible. With L = 0 the layer's own queries
/// score, and a second sum after the fetch says who holds it. A sequence in a round sits out: its
/// ring stands still. One thread.
class RecallWithinStep {
 public:
  /// Both outlive this.
  RecallWithinStep(ShardContext* context, PageFetcher* fetcher)
      : context_(context), fetcher_(fetcher), scores_(context->operations->memory()) {}

  /// Opens a step; nothing of it is scored yet.
  void BeginStep() { scored_.clear(); }
  std::vector<int> LayersToForesee(absl::Span<const StepSlice> slices, int layer) const;

  /// Scores the digests of `later_layer` for the sequences that look so far ahead. queries [tokens
  /// of the step, query_heads, key_dim]; layer == later_layer: its own.
  absl::Status Score(absl::Span<const StepSlice> slices, int layer, int later_layer,
                     absl::Span<const float> queries);
  /// [collective where there is anything to say] Before the attention of `layer`.
  absl::Status Recall(absl::Span<const StepSlice> slices, int layer);

 private:
  struct ToShow {
    std::vector<AgreedPage> agreed;  // which hold the bytes of
    std::vector<PageIn> pages;
  };
  struct Scored {
    const StepSlice* slice = nullptr;
    int layer = 0;
    std::vector<std::int32_t> scores;  // [pages]
  };
  /// One for each of this layer's fetches that this rank holds, zero for others. Those it missed
  /// are reported with the step's end.
  void AppendHeld(const StepSlice& slice, int layer, std::vector<std::int32_t>* sum) const;
  /// Takes as many from the front of `merged`; what all ranks hold is to be shown.
  absl::Status Settle(const StepSlice& slice, int layer, absl::Span<const std::int32_t>* merged,
                      ToShow* shown);
  void Choose(absl::Span<const std::int32_t>* merged);
  absl::Status Sum(std::vector<std::int32_t>* values);

  ShardContext* context_;
  PageFetcher* fetcher_;
  std::vector<Scored> scored_;        // since the last Recall
  SpaceVector<std::int32_t> scores_;  // of one Score, in the operations' memory
};

}  // namespace pinboard
