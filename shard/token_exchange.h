// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The step's one all-gather: candidates of H and of the next token, and the fetch report.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "shard/context.h"
#include "shard/step_recorder.h"

namespace pinboard {

struct TokenExchangeResult {
  std::vector<float> entropy_after;                     // [tokens]
  std::vector<std::vector<TokenCandidate>> candidates;  // [slices], merged
  std::vector<std::uint8_t> reports;                    // [tp, bytes of the fetch report]
};

/// [collective where tp > 1] Logits stay sharded: each rank sends its top_k values per token, the
/// ids of each sequence's last token, and `report`.
absl::StatusOr<TokenExchangeResult> ExchangeTokens(ShardContext& context,
                                                   const StepRecorder& recorder,
                                                   absl::Span<const std::uint8_t> report);

}  // namespace pinboard
