// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How many long contexts fit a fixed cache under a policy, and how fast they decode side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "app/eval/arm.h"
#include "app/session/rank_session.h"
#include "pinboard/shard.h"

namespace pinboard::app {

struct ThroughputOptions {
  int context = 32768;     // tokens of each prompt, drawn
  int generate = 128;      // tokens that each sequence decodes
  int chunk = 4096;        // tokens of a prompt in a step; a round follows each
  int every = 128;         // decoded tokens from round to round
  int most_sequences = 0;  // 0: as many as fit
  std::uint64_t seed = 0;  // of the prompts
};

/// What one arm did.
struct Throughput {
  int sequences = 0;                 // that fitted, and so decoded side by side
  double prefill_seconds = 0.0;      // of all prompts one after another, their rounds included
  double decode_seconds = 0.0;       // of all steps and the rounds between them
  double round_seconds = 0.0;        // of the latter alone
  std::vector<double> step_seconds;  // [generate]
  int decode_rounds = 0;             // of all sequences together
  int rows = 0;                      // of a sequence at the end, the layers' mean
  int most_blocks = 0;               // in use at most
  ShardStats before, after;          // of decoding
};

/// The blocks that `sequences` full contexts take.
int ThroughputBlocks(const ThroughputOptions& options, int sequences, int block_size);

/// [collective] Reads prompts until no more fits the session's cache beside what those that are
/// there need until their next round, then lets all decode, the best token each, in shared steps.
/// An arm that keeps all runs without the shard: nothing is observed for it. Prompts and tokens are
/// the same for every arm of a seed and tp. The sequences are gone afterwards. ResourceExhausted:
/// not even one fits. Errors: the engine's.
absl::StatusOr<Throughput> MeasureThroughput(RankSession& session, const Arm& arm,
                                             const ThroughputOptions& options,
                                             const std::function<void(int sequences)>& progress);

}  // namespace pinboard::app
