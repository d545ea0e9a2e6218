// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The next token, greedily or drawn.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "pinboard/shard.h"

namespace pinboard::app {

/// How many candidates a step hands out, and so how many can be sampled from. What is less likely
/// than these is cut off.
int MaxTopK();

struct SamplingOptions {
  double temperature = 0.0;  // divides the logits; 0: the best token
  int top_k = MaxTopK();     // candidates looked at, 1 to MaxTopK()
  double top_p = 1.0;        // the likeliest of them that together have this share, (0, 1]
  std::uint64_t seed = 0;
};

/// InvalidArgument, one line: a value out of range, or one that only matters when sampling while
/// the temperature is 0.
absl::Status CheckSampling(const SamplingOptions& options);

/// Draws from softmax(logits / temperature) over the top_k best, then over the shortest run of the
/// best whose share reaches top_p. One 53-bit uniform of a Mersenne twister per token: the same
/// seed gives the same tokens on every rank, whose candidates are the same bits. Another number of
/// ranks sums logits in another order, so that a draw between two tokens can fall on the other one
/// there. Thread-compatible.
class Sampler {
 public:
  /// Requires CheckSampling(options).ok().
  explicit Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {}

  /// `candidates`: at least one, descending logit.
  std::int32_t Next(absl::Span<const TokenCandidate> candidates);

 private:
  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<double> weights_;  // [candidates looked at], of the best one 1
};

}  // namespace pinboard::app
