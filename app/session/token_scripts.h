// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Several sequences run side by side, each by a script: tokens to be fed, then tokens to generate.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "app/session/rank_session.h"

namespace pinboard::app {

/// One sequence. `forced` is fed; then `generate` tokens are decoded greedily.
struct TokenScript {
  std::uint64_t sequence = 0;
  absl::Span<const std::int32_t> forced;  // at least one; outlives the run
  int generate = 0;
  bool keep_logits = false;  // of the forced tokens; then `generate` is 0

  std::vector<std::int32_t> generated;
  std::vector<float> logits;  // [forced tokens, vocab_local], this rank's shard of the vocabulary
};

enum class Feeding : std::uint8_t {
  kOneTokenAStep,  // recall looks at every step, so a step is a token
  kWhole,          // forced tokens in one step, where nothing is recalled
};

/// [collective] Runs all scripts to their end, in shared steps. The last generated token is not
/// fed.
absl::Status RunScripts(RankSession& session, absl::Span<TokenScript> scripts, Feeding feeding);

}  // namespace pinboard::app
