// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The end of a step: logits in chunks, to the shard, to the caller, to the next token.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "engine/engine.h"
#include "engine/forward_pass.h"
#include "engine/rank_plan.h"
#include "engine/step_batch.h"

namespace pinboard::engine {

/// Computes what a step needs of the logits and no more: with a shard all tokens', without one the
/// wanted ones and each sequence's last. Memory: one chunk beside what is handed out.
/// Thread-compatible; the pointers outlive it.
class LogitsPass {
 public:
  LogitsPass(ForwardPass* forward, const RankPlan& plan, transport::Communicator* communicator,
             absl::Duration deadline)
      : forward_(forward), plan_(plan), communicator_(communicator), deadline_(deadline) {}

  /// Fills logits, and without a shard candidates, of outputs [entries]; `inputs` says what is
  /// wanted. [collective without a shard: one all-gather of each rank's best token per sequence]
  absl::Status Run(const StepBatch& batch, absl::Span<const StepInput> inputs, Shard* shard,
                   absl::Span<StepOutput> outputs);

 private:
  struct Range {
    int first = 0;
    int count = 0;
  };
  static std::vector<Range> NeededRanges(const StepBatch& batch, absl::Span<const StepInput> inputs,
                                         bool all);
  absl::Status HandOut(const StepBatch& batch, absl::Span<const StepInput> inputs,
                       const Range& chunk, absl::Span<StepOutput> outputs);
  absl::Status FindBest(const StepBatch& batch, const Range& chunk);
  absl::Status MergeBest(absl::Span<StepOutput> outputs);

  ForwardPass* forward_;
  RankPlan plan_;
  transport::Communicator* communicator_;
  absl::Duration deadline_;
  std::vector<TokenCandidate> local_;  // [entries]: the best of this rank's vocabulary
};

}  // namespace pinboard::engine
