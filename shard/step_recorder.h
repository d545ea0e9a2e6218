// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What one step shows of its tokens: queries, hidden states, logits; H and D per token as produced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/context.h"

namespace pinboard {

/// One sequence of the open step.
struct StepSlice {
  SequenceState* state = nullptr;
  StepEntry entry;
  int first_token = 0;              // in the step's tensors
  std::int32_t first_position = 0;  // of its first new token
};

/// Buffers of the open step, reused from step to step. One thread.
class StepRecorder {
 public:
  /// `context` outlives this, and has its operations already.
  explicit StepRecorder(ShardContext* context)
      : context_(context),
        hidden_(context->operations->memory()),
        values_(context->operations->memory()),
        ids_(context->operations->memory()) {}

  absl::Status Begin(std::span<const StepEntry> entries);
  absl::Status Queries(int layer, absl::Span<const float> queries);
  absl::Status LogSumExps(int layer, absl::Span<const float> log_sum_exps);
  absl::Status Hidden(int layer, absl::Span<const float> hidden);
  absl::Status Logits(int first_token, int tokens, absl::Span<const float> logits);

  const std::vector<StepSlice>& slices() const { return slices_; }
  int tokens() const { return tokens_; }

  /// This rank's candidates of all tokens, values [tokens, top_k]: in the operations' memory.
  absl::Span<const float> candidate_values() const { return values_.view(); }
  /// Those of each slice's last token, values and ids [slices, top_k], to the host.
  absl::Status ReadLastCandidates(absl::Span<float> values, absl::Span<std::int32_t> ids) const;

  /// Takes the entropy after each of the step's tokens [tokens], and closes the step. The
  /// operations are finished.
  void Finish(absl::Span<const float> entropy_after);

  std::size_t workspace_bytes() const;

 private:
  /// For what the step will show; where it fails nothing has been recorded.
  absl::Status MakeRoom();
  /// values [tokens, width] are to go to the windows of the step's sequences.
  absl::Status Remember(int layer, absl::Span<const float> values, int width,
                        QueryWindow LayerState::*window);
  /// What is to be copied by now, in one launch.
  absl::Status Copy();
  /// Values that stay of a hidden state until the last layer's is seen.
  int state_dim() const;

  ShardContext* context_;
  std::vector<StepSlice> slices_;
  int tokens_ = 0;
  int logits_seen_ = 0;
  std::vector<FloatCopy> to_copy_;  // what a layer leaves, with the next one's queries
  // In the operations' memory:
  SpaceVector<float> hidden_;  // [layers, tokens, state_dim()]
  SpaceVector<float> values_;  // [tokens, top_k], as ids_
  SpaceVector<std::int32_t> ids_;
  std::vector<float> shift_;  // [layers, tokens]
};

}  // namespace pinboard
