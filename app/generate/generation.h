// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Generation under a bounded KV cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "app/generate/sampler.h"
#include "app/session/rank_session.h"

namespace pinboard::app {

struct GenerationOptions {
  SequenceOptions sequence;  // prompt_tokens is set from the prompt
  SamplingOptions sampling;
  int max_tokens = 256;
  int round_every = 256;  // generated tokens between compressions
};

enum class StopReason : std::uint8_t { kEndOfText, kStopText, kMaxTokens };

/// "end_of_text", "stop_text", "max_tokens".
const char* StopReasonName(StopReason reason);

struct Generation {
  std::vector<std::int32_t> ids;  // without the end-of-text token that ended it
  StopReason stop_reason = StopReason::kMaxTokens;
  int length = 0;            // positions in the cache at the end
  int rows = 0;              // physical rows at the end; the layers' mean
  std::size_t kv_bytes = 0;  // this rank's, at the end
  int rounds = 0;            // that were applied
  double prefill_seconds = 0.0;
  double decode_seconds = 0.0;
};

/// Told of each token as it is produced, on every rank. False: the text ends with it; all ranks
/// must say the same.
using OnToken = std::function<absl::StatusOr<bool>(std::int32_t id)>;

/// [collective] Prefills `prompt` (at least one token), compresses it, and decodes until the model
/// ends the text (any of config().eos_ids), `on_token` does or max_tokens are made; compresses
/// every round_every tokens. Never waits for pages. The same tokens on every rank. The sequence is
/// gone afterwards.
absl::StatusOr<Generation> Generate(RankSession& session, absl::Span<const std::int32_t> prompt,
                                    const GenerationOptions& options, const OnToken& on_token);

/// Blocks that hold the text uncompressed: a round may always keep everything.
int CacheBlocksNeeded(std::size_t prompt_tokens, int max_tokens, int block_size);

}  // namespace pinboard::app
