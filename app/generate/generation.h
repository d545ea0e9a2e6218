// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Generation under a bounded KV cache, of one text or of many side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "app/generate/sampler.h"
#include "app/session/rank_session.h"
#include "engine/batcher.h"

namespace pinboard::app {

struct GenerationRequest {
  std::vector<std::int32_t> prompt;  // at least one token
  int max_tokens = 256;
  SequenceOptions method;  // when rounds are due, too; prompt_tokens is set from the prompt
  SamplingOptions sampling;
};

enum class StopReason : std::uint8_t { kEndOfText, kStopText, kMaxTokens };

/// "end_of_text", "stop_text", "max_tokens".
const char* StopReasonName(StopReason reason);

struct Generation {
  std::vector<std::int32_t> ids;  // without the end-of-text token that ended it
  StopReason stop_reason = StopReason::kMaxTokens;
  int length = 0;                // positions in the cache at the end
  int rows = 0;                  // physical rows at the end; the layers' mean
  std::size_t kv_bytes = 0;      // this rank's, at the end
  int rounds = 0;                // that were applied
  double prefill_seconds = 0.0;  // from the start of all to the first token
  double decode_seconds = 0.0;   // from there to the last
};

/// Told on every rank; `request` is an index into the requests. An error ends the generation.
struct GenerationHandlers {
  /// Of each token as it is made. False: the text ends with it; all ranks must say the same.
  std::function<absl::StatusOr<bool>(std::size_t request, std::int32_t id)> on_token;
  /// Of each round; may be null.
  std::function<absl::Status(std::size_t request, const RoundOutcome& outcome)> on_round;
};

struct Generations {
  std::vector<Generation> made;  // [requests]
  engine::BatchStats batch;
};

/// [collective] Runs all requests in one batch, in their order, until the model ends a text (any of
/// config().eos_ids), `on_token` does or its max_tokens are made. The same tokens on every rank;
/// greedily, those that each request would make alone. Never waits for pages. The sequences are
/// gone afterwards. Errors: the batcher's.
absl::StatusOr<Generations> Generate(RankSession& session,
                                     absl::Span<const GenerationRequest> requests,
                                     const engine::BatchOptions& options,
                                     const GenerationHandlers& handlers);

/// Blocks in which the `max_running` largest requests fit uncompressed side by side: none would be
/// preempted.
int CacheBlocksNeeded(absl::Span<const GenerationRequest> requests, int max_running,
                      int block_size);

}  // namespace pinboard::app
