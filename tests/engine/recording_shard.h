// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A Shard that writes down what the engine tells it, and whose rounds are made up by the test.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "pinboard/shard.h"

namespace pinboard::engine::testing {

class RecordingShard : public Shard {
 public:
  struct Sequence {
    int rows = 0;
    int length = 0;
    SequenceOptions options;
  };

  Status AddSequence(std::uint64_t sequence, const SequenceOptions& options) override {
    calls.push_back("Add " + std::to_string(sequence));
    if (!refuse.ok()) return refuse;
    sequences[sequence].options = options;
    return {};
  }
  Status ForkSequence(std::uint64_t from, std::uint64_t to, int tokens,
                      const SequenceOptions& options) override {
    calls.push_back("Fork " + std::to_string(from) + " " + std::to_string(to));
    if (!refuse.ok()) return refuse;
    sequences[to] = sequences[from];
    if (tokens < sequences[to].length) sequences[to].rows = sequences[to].length = tokens;
    sequences[to].options = options;
    return {};
  }
  Status RemoveSequence(std::uint64_t sequence) override {
    calls.push_back("Remove " + std::to_string(sequence));
    sequences.erase(sequence);
    return {};
  }

  int Rows(std::uint64_t sequence, int) const override { return sequences.at(sequence).rows; }
  int RingRows(std::uint64_t, int) const override { return ring_rows; }
  int Length(std::uint64_t sequence) const override { return sequences.at(sequence).length; }
  std::vector<std::int32_t> RowPositions(std::uint64_t, int) const override { return {}; }

  Status BeginStep(std::span<const StepEntry> step) override {
    calls.push_back("BeginStep");
    entries.assign(step.begin(), step.end());
    queries.clear();
    hidden.clear();
    log_sum_exps.clear();
    foreseen.clear();
    logits.clear();
    return refuse;
  }
  Status ObserveQueries(int layer, std::span<const float> values) override {
    calls.push_back("ObserveQueries " + std::to_string(layer));
    queries.emplace_back(values.begin(), values.end());
    return {};
  }
  std::vector<int> LayersToForesee(int layer) const override {
    const auto found = foresee.find(layer);
    return found == foresee.end() ? std::vector<int>{} : found->second;
  }
  Status ForeseeQueries(int layer, int later, std::span<const float> values) override {
    calls.push_back("ForeseeQueries " + std::to_string(layer) + " " + std::to_string(later));
    foreseen.emplace_back(values.begin(), values.end());
    return {};
  }
  Status RecallLayer(int layer) override {
    calls.push_back("RecallLayer " + std::to_string(layer));
    return {};
  }
  Status ObserveLogSumExps(int layer, std::span<const float> values) override {
    calls.push_back("ObserveLogSumExps " + std::to_string(layer));
    log_sum_exps.emplace_back(values.begin(), values.end());
    return {};
  }
  Status ObserveHidden(int layer, std::span<const float> values) override {
    calls.push_back("ObserveHidden " + std::to_string(layer));
    hidden.emplace_back(values.begin(), values.end());
    return {};
  }
  Status ExchangeScores() override {
    calls.push_back("ExchangeScores");
    return {};
  }
  Status ObserveLogits(int first_token, int tokens, std::span<const float> values) override {
    calls.push_back("ObserveLogits");
    logits_tokens.emplace_back(first_token, tokens);
    logits.insert(logits.end(), values.begin(), values.end());
    return {};
  }
  Result<std::vector<StepEntryResult>> EndStep() override {
    calls.push_back("EndStep");
    if (!refuse_end.ok()) return refuse_end;
    std::vector<StepEntryResult> results;
    for (const StepEntry& entry : entries) {
      sequences[entry.sequence].rows += entry.tokens;
      sequences[entry.sequence].length += entry.tokens;
      results.push_back({{{static_cast<std::int32_t>(entry.sequence), 1.5F}}, 0.25F});
    }
    return results;
  }

  std::vector<std::uint64_t> DueForRound(int, int) const override { return {}; }
  std::vector<int> PlannedRows(std::uint64_t sequence) const override {
    const auto planned = planned_rows.find(sequence);
    if (planned == planned_rows.end()) return {};
    return {planned->second};
  }
  Status BeginRound(std::span<const RoundEntry> round) override {
    calls.push_back("BeginRound " + std::to_string(round.size()));
    keeps_all.clear();
    for (const RoundEntry& entry : round) {
      if (entry.keep_all) keeps_all.push_back(entry.sequence);
    }
    return refuse;
  }
  Result<std::vector<RoundOutcome>> CommitRound(std::span<const RoundEntry> round) override {
    calls.push_back("CommitRound");
    for (const RoundEntry& entry : round) {
      const auto& table = entry.block_tables.front();
      round_tables[entry.sequence].assign(table.begin(), table.end());
      destinations[entry.sequence].clear();
      for (const auto& destination : entry.destination_tables) {
        destinations[entry.sequence].assign(destination.begin(), destination.end());
      }
    }
    for (const RoundOutcome& outcome : outcomes) {
      if (outcome.applied) sequences[outcome.sequence].rows = outcome.rows.front();
    }
    return outcomes;
  }

  ShardStats stats() const override { return {}; }

  // What the test sets.
  Status refuse;
  Status refuse_end;
  std::vector<RoundOutcome> outcomes;
  std::map<int, std::vector<int>> foresee;    // by layer: later ones
  std::map<std::uint64_t, int> planned_rows;  // none: nothing to gain
  int ring_rows = 0;                          // of every sequence
  // What the engine said; tensors are of the last step.
  std::vector<std::string> calls;
  std::map<std::uint64_t, Sequence> sequences;
  std::vector<StepEntry> entries;
  std::vector<std::vector<float>> queries, log_sum_exps, hidden;  // [layers]
  std::vector<std::vector<float>> foreseen;                       // as asked for
  std::vector<float> logits;
  std::vector<std::pair<int, int>> logits_tokens;
  std::map<std::uint64_t, std::vector<std::int32_t>> round_tables, destinations;
  std::vector<std::uint64_t> keeps_all;  // of the last BeginRound
};

}  // namespace pinboard::engine::testing
