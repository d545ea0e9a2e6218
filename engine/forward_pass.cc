// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "engine/forward_pass.h"

#include "base/public_status.h"
#include "base/status_macros.h"

namespace pinboard::engine {
absl::Status ForwardPass::Run(const StepBatch& batch, Shard* shard) {
  const int layers = config().layers;
  PB_RETURN_IF_ERROR(Begin(batch));
  PB_RETURN_IF_ERROR(Stretch(0, [&] {
    absl::Status embedded = Embed(batch);
    return embedded.ok() ? Project(0, batch) : embedded;
  }));
  for (int layer = 0; layer < layers; ++layer) {
    if (shard != nullptr) PB_RETURN_IF_ERROR(ShowQueries(layer, batch, shard));
    PB_RETURN_IF_ERROR(Stretch(layer + 1, [&]() -> absl::Status {
      PB_RETURN_IF_ERROR(Attend(layer, batch));
      PB_RETURN_IF_ERROR(RunMlp(layer, batch));
      return layer + 1 < layers ? Project(layer + 1, batch) : absl::OkStatus();
    }));
    if (shard == nullptr) continue;
    PB_RETURN_IF_ERROR(ToAbslStatus(shard->ObserveLogSumExps(layer, log_sum_exps())));
    PB_RETURN_IF_ERROR(ToAbslStatus(shard->ObserveHidden(layer, hidden())));
  }
  return AwaitRanks();
}

absl::Status ForwardPass::ShowQueries(int layer, const StepBatch& batch, Shard* shard) {
  PB_RETURN_IF_ERROR(ToAbslStatus(shard->ObserveQueries(layer, queries())));
  for (const int later : shard->LayersToForesee(layer)) {
    PB_ASSIGN_OR_RETURN(const absl::Span<const float> foreseen, Foresee(later, batch));
    PB_RETURN_IF_ERROR(ToAbslStatus(shard->ForeseeQueries(layer, later, foreseen)));
  }
  return ToAbslStatus(shard->RecallLayer(layer));
}

}  // namespace pinboard::engine
