// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A step's scores of the pages that its rings could hold, summed over the ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/space_vector.h"
#include "shard/context.h"
#include "shard/ring_decisions.h"
#include "shard/step_recorder.h"

namespace pinboard {

/// Of the layers that are scored one step behind. Ranks with collectives on their devices sum the
/// scores where they lie, before the host has them; others on the host. One thread.
class PageScores {
 public:
  explicit PageScores(ShardContext* context)
      : context_(context), scores_(context->operations->memory()) {}

  /// [collective on the stream, where ranks have such] Enqueues all that gives `findings` its
  /// scores, which are there at the operations' next mark: summed over the ranks, or, where they
  /// are summed on a device, once AwaitLaunched has said so. False: there is nothing to score.
  absl::StatusOr<bool> Enqueue(absl::Span<const StepSlice> slices, StepFindings* findings);
  /// [collective, where Enqueue was none] Sums the host's.
  absl::Status Merge(StepFindings* findings) const;

 private:
  /// `ring`: in the findings.
  void ForEachScored(
      absl::Span<const StepSlice> slices,
      absl::FunctionRef<void(const StepSlice&, LayerState&, std::size_t ring)> visit) const;
  /// Null: on the host, or there is one rank.
  transport::DeviceCommunicator* on_device() const {
    return context_->tp() == 1 ? nullptr : context_->communicator->on_device();
  }

  ShardContext* context_;
  SpaceVector<std::int32_t> scores_;    // of the findings, in the operations' memory
  std::vector<PagesToScore> to_score_;  // of one call: some 200 bytes for each ring
};

}  // namespace pinboard
