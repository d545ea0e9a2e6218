// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/forward_pass.h"

#include "base/public_status.h"
#include "base/status_macros.h"

namespace pinboard::engine {
absl::Status ForwardPass::Run(const StepBatch& batch, Shard* shard) {
  PB_RETURN_IF_ERROR(Embed(batch));
  for (int layer = 0; layer < config().layers; ++layer) {
    PB_ASSIGN_OR_RETURN(const absl::Span<const float> queries, Project(layer, batch));
    if (shard != nullptr) PB_RETURN_IF_ERROR(ShowQueries(layer, batch, queries, shard));
    PB_RETURN_IF_ERROR(Attend(layer, batch));
    PB_RETURN_IF_ERROR(RunMlp(layer, batch));
    if (shard == nullptr) continue;
    PB_RETURN_IF_ERROR(ToAbslStatus(shard->ObserveHidden(layer, hidden())));
  }
  return AwaitRanks();
}

absl::Status ForwardPass::ShowQueries(int layer, const StepBatch& batch,
                                      absl::Span<const float> queries, Shard* shard) {
  PB_RETURN_IF_ERROR(ToAbslStatus(shard->ObserveQueries(layer, queries)));
  for (const int later : shard->LayersToForesee(layer)) {
    PB_ASSIGN_OR_RETURN(const absl::Span<const float> foreseen, Foresee(later, batch));
    PB_RETURN_IF_ERROR(ToAbslStatus(shard->ForeseeQueries(layer, later, foreseen)));
  }
  return ToAbslStatus(shard->RecallLayer(layer));
}

}  // namespace pinboard::engine
