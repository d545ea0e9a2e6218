// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "bench/round/rank_rounds.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace pinboard::bench {
namespace {

void Require(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "round: %s\n", status.message().c_str());
  std::exit(1);
}

}  // namespace

RankRounds::RankRounds(std::unique_ptr<Shard> shard, int layers,
                       std::vector<std::vector<std::int32_t>> tables, const StepTensors& tensors)
    : shard_(std::move(shard)), layers_(layers), tables_(std::move(tables)), tensors_(tensors) {
  SequenceOptions options;
  options.recall_pages = 32;
  options.recall_when = "interval:1048576";  // the ring is filled by rounds alone
  for (std::size_t s = 0; s < tables_.size(); ++s) Require(shard_->AddSequence(s, options));
}

void RankRounds::Step(int first, int end, int tokens) {
  std::vector<StepEntry> entries;
  for (int s = first; s < end; ++s) {
    entries.push_back({static_cast<std::uint64_t>(s), tokens, {tables_[s]}});
  }
  const int all = tokens * (end - first);
  const auto of_step = [&](std::span<const float> values) {
    return values.first(values.size() / tensors_.tokens * all);
  };
  Require(shard_->BeginStep(entries));
  for (int l = 0; l < layers_; ++l) {
    Require(shard_->ObserveQueries(l, of_step(tensors_.queries)));
    if (!tensors_.log_sum_exps.empty()) {
      Require(shard_->ObserveLogSumExps(l, of_step(tensors_.log_sum_exps)));
    }
    Require(shard_->ObserveHidden(l, of_step(tensors_.hidden)));
  }
  Require(shard_->ObserveLogits(0, all, of_step(tensors_.logits)));
  Require(shard_->ExchangeScores());
  Require(shard_->EndStep().status());
}

std::vector<Shard::RoundEntry> RankRounds::Entries(int first, int end) const {
  std::vector<Shard::RoundEntry> entries;
  for (int s = first; s < end; ++s) {
    entries.push_back({.sequence = static_cast<std::uint64_t>(s), .block_tables = {tables_[s]}});
  }
  return entries;
}

void RankRounds::Begin(int first, int end) { Require(shard_->BeginRound(Entries(first, end))); }

void RankRounds::Commit(int first, int end) {
  const auto outcomes = shard_->CommitRound(Entries(first, end));
  Require(outcomes.status());
  for (const RoundOutcome& outcome : outcomes.value()) {
    if (!outcome.applied) Require({StatusCode::kInternal, outcome.kept_all_because});
  }
}

}  // namespace pinboard::bench
