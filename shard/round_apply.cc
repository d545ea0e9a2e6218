// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_apply.h"

#include <utility>
#include <vector>

#include "base/parallel.h"
#include "base/status_macros.h"
#include "shard/round_threads.h"

namespace pinboard {
namespace {

/// One message each.
void Tell(cache_service::PageStore* store, StoreRequests requests) {
  if (!requests.dropped.empty()) store->Drop(requests.dropped);
  if (!requests.headers.empty()) store->Publish(std::move(requests.published), requests.headers);
}

/// Of all sequences.
void ApplyLayers(absl::Span<SequenceApplier> appliers) {
  std::vector<std::pair<SequenceApplier*, int>> layers;
  std::size_t rows = 0;
  for (SequenceApplier& applier : appliers) {
    for (int l = 0; l < applier.layers(); ++l) layers.emplace_back(&applier, l);
    rows += applier.rows();
  }
  ForEachInParallel(layers.size(), ThreadsForRows(rows),
                    [&](std::size_t i) { layers[i].first->ApplyLayer(layers[i].second); });
}

}  // namespace

absl::Status ApplyRound(ShardContext& context, absl::Span<AgreedSequence> sequences) {
  StoreRequests requests;
  std::vector<SequenceApplier> appliers;
  appliers.reserve(sequences.size());
  for (AgreedSequence& sequence : sequences) {
    PB_RETURN_IF_ERROR(appliers.emplace_back(&context, &sequence, &requests).MoveRows());
  }
  ApplyLayers(absl::MakeSpan(appliers));  // while a device compacts
  for (SequenceApplier& applier : appliers) PB_RETURN_IF_ERROR(applier.FillRings());
  Tell(context.store, std::move(requests));
  PB_RETURN_IF_ERROR(context.operations->Finish());
  for (SequenceApplier& applier : appliers) PB_RETURN_IF_ERROR(applier.End());
  return absl::OkStatus();
}

}  // namespace pinboard
