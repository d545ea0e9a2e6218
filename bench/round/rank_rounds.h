// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A shard in steps and rounds of some sequences, as an engine calls it. Where tensors lie and what
// operations cost is the caller's.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pinboard/shard.h"

namespace pinboard::bench {

/// Of `tokens` tokens, the same in every layer and step.
struct StepTensors {
  int tokens = 0;
  std::span<const float> queries;       // [tokens, query_heads, key_dim]
  std::span<const float> log_sum_exps;  // [tokens, query_heads]; empty: not shown
  std::span<const float> hidden;        // [tokens, hidden_dim]
  std::span<const float> logits;        // [tokens, vocab_local]
};

/// Sequences are numbered from 0. Ends the program where the shard refuses.
class RankRounds {
 public:
  /// `tables`: each sequence's, for as many rows as it will ever have.
  RankRounds(std::unique_ptr<Shard> shard, int layers,
             std::vector<std::vector<std::int32_t>> tables, const StepTensors& tensors);

  /// One step of `tokens` tokens of each of the sequences [first, end).
  void Step(int first, int end, int tokens);
  /// The two halves of their round, which must be applied.
  void Begin(int first, int end);
  void Commit(int first, int end);

 private:
  std::vector<Shard::RoundEntry> Entries(int first, int end) const;

  std::unique_ptr<Shard> shard_;
  int layers_;
  std::vector<std::vector<std::int32_t>> tables_;
  StepTensors tensors_;
};

}  // namespace pinboard::bench
