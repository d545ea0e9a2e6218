// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What an arm was measured to do: plain sums over the contexts; report/ divides.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace pinboard::app {

/// Questions about what was said so many rounds before the end.
struct RoundsAgo {
  std::int64_t questions = 0;
  std::int64_t correct = 0;
};

struct ArmResult {
  std::int64_t contexts = 0;
  std::int64_t context_tokens = 0;
  std::int64_t questions = 0;
  std::int64_t correct = 0;  // every token of the answer right
  /// Of each question, in the suite's order: '1' right, '0' not; a space between contexts.
  std::string answers;
  std::map<int, RoundsAgo> by_rounds_ago;  // decoding: of the questions that say when

  /// KL(full || this arm), nats, over the distributions after each continuation token.
  double kl_sum = 0.0;
  std::int64_t kl_tokens = 0;
  /// -ln p of each continuation token but the first, which is predicted before compression.
  double nll_sum = 0.0;
  std::int64_t nll_tokens = 0;

  /// Right after compression; decoding: at the end of the context, and borderline and dropped rows
  /// of all rounds. Rows are summed over the layers; bytes over layers and ranks.
  std::int64_t kept = 0;
  std::int64_t borderline = 0;
  std::int64_t dropped = 0;
  std::int64_t ring_rows = 0;  // of a layer, in the mean
  std::int64_t resident_kv_bytes = 0;
  std::int64_t digest_bytes = 0;
  std::int64_t workspace_bytes = 0;  // high-water mark of the run so far
  std::int64_t rounds = 0;           // decoding: that were applied
  /// Rounds that kept everything because a rank was late or the plans differed.
  std::int64_t rounds_kept_all = 0;
  std::int64_t keepset_mismatches = 0;

  /// A page counts once for the whole group; bytes are summed over the ranks.
  std::int64_t pages_offloaded = 0;
  std::int64_t bytes_offloaded = 0;
  std::int64_t pages_recalled = 0;
  std::int64_t bytes_recalled = 0;
  std::int64_t misses = 0;
  std::int64_t waits = 0;           // steps in which a rank waited: of the rank that waited most
  std::int64_t recall_choices = 0;  // steps of a sequence that chose pages
  std::int64_t recall_lag_steps = 0;
  std::int64_t ring_pages_seen = 0;
  /// Quality samples (ShardStats), summed over the ranks.
  std::int64_t quality_samples = 0;
  double evicted_attention = 0.0;
  std::int64_t ring_rows_sampled = 0;
  std::int64_t ring_rows_attended = 0;
  std::int64_t tokens_without_information = 0;

  std::int64_t steps = 0;  // after compression
  std::int64_t step_collectives = 0;
  double seconds = 0.0;
};

}  // namespace pinboard::app
