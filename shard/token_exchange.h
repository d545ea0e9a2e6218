// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The end of a step over the ranks: H of its tokens, candidates for the next one, fetch reports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/space_vector.h"
#include "shard/context.h"
#include "shard/step_recorder.h"

namespace pinboard {

struct TokenExchangeResult {
  std::vector<float> entropy_after;                     // [tokens]
  std::vector<std::vector<TokenCandidate>> candidates;  // [slices], merged
  std::vector<std::uint8_t> reports;                    // [tp, bytes of the fetch report]
};

/// Logits stay sharded: what is exchanged are each rank's top_k values per token, and the ids of
/// each sequence's last one. The values are merged where they lie, by ranks that can gather them
/// there (a group of one, or one with collectives on the device); others send them with the rest.
/// One thread.
class TokenExchange {
 public:
  /// `context` outlives this, and has its operations already.
  explicit TokenExchange(ShardContext* context)
      : context_(context), gathered_(context->operations->memory()) {}

  /// [collective on devices] Enqueues what Complete needs; then the operations are finished.
  absl::Status Begin(const StepRecorder& recorder);
  /// [collective where tp > 1: one all-gather] `report`: this rank's, as long on every rank.
  absl::StatusOr<TokenExchangeResult> Complete(const StepRecorder& recorder,
                                               absl::Span<const std::uint8_t> report);

 private:
  /// Of a rank, or of all, one after another.
  struct Parts {
    std::vector<float> last_values;      // [slices, top_k]: of last tokens
    std::vector<std::int32_t> last_ids;  // [slices, top_k]
    std::vector<float> values;           // [tokens, top_k]; empty where they are merged in place
    std::vector<std::uint8_t> reports;
  };

  bool MergesInPlace() const;
  /// values [tp, tokens, top_k] of all ranks, in the operations' memory.
  absl::StatusOr<absl::Span<const float>> GatherInPlace(absl::Span<const float> values);
  absl::StatusOr<Parts> Gather(absl::Span<const std::uint8_t> report) const;
  std::vector<TokenCandidate> MergeCandidates(const Parts& parts, std::size_t slice) const;

  ShardContext* context_;
  SpaceVector<float> gathered_;
  Parts mine_;                  // of the step
  std::vector<float> entropy_;  // [tokens]
};

}  // namespace pinboard
