// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A step of the engine: room for its rows, the forward pass, and all or nothing.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/engine.h"
#include "engine/forward_pass.h"
#include "engine/logits_pass.h"
#include "engine/sequence_table.h"
#include "engine/step_batch.h"

namespace pinboard::engine {

struct StepLimits {
  int vocab_size = 0;  // token ids are below it
  int max_tokens = 0;  // of a step
};

/// Runs steps over the sequences of one engine. Rows and lengths advance once all of a step has
/// succeeded; a step that fails gives its blocks back. Thread-compatible.
class StepRunner {
 public:
  /// The pointers outlive this. Blocks copied because a sequence writes into one that others share
  /// are added to `stats`.
  StepRunner(const StepLimits& limits, ForwardPass* forward, LogitsPass* logits,
             SequenceTable* sequences, EngineStats* stats)
      : limits_(limits), forward_(forward), logits_(logits), sequences_(sequences), stats_(stats) {}

  /// [collective] Engine::Step, with its errors. `shard` may be null.
  absl::StatusOr<std::vector<StepOutput>> Run(absl::Span<const StepInput> inputs, Shard* shard);

 private:
  absl::Status CheckInputs(absl::Span<const StepInput> inputs) const;
  /// Blocks for the new rows, of all inputs or of none.
  absl::Status Grow(absl::Span<const StepInput> inputs);
  void Shrink(absl::Span<const StepInput> inputs);
  void Advance(absl::Span<const StepInput> inputs);
  absl::StatusOr<StepBatch> MakeBatch(absl::Span<const StepInput> inputs, const Shard* shard) const;
  /// Of room that Grow has made.
  absl::StatusOr<std::vector<StepOutput>> RunBatch(absl::Span<const StepInput> inputs,
                                                   Shard* shard);

  StepLimits limits_;
  ForwardPass* forward_;
  LogitsPass* logits_;
  SequenceTable* sequences_;
  EngineStats* stats_;
};

}  // namespace pinboard::engine
