// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a CheckedGroup checks; what it does is in checked_group.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/page.h"
#include "scheduler/policy/policy.h"
#include "tests/system/checked_group.h"

namespace pinboard::testing {
namespace {

using engine::Engine;
using engine::testing::FullLogits;
using engine::testing::PlainMask;
using engine::testing::Vector;

/// Leading positions that no round may evict.
int ProtectedHead(const SequenceOptions& options) {
  const auto policy = scheduler::MakePolicy(options.policy, {.window = options.window});
  EXPECT_TRUE(policy.ok()) << policy.status();
  const int sinks = policy->method.sinks;
  return policy->protect_prompt ? std::max(sinks, options.prompt_tokens) : sinks;
}

}  // namespace

void CheckedGroup::CompareLogits(const GroupInput& input, const FullLogits& logits,
                                 const std::vector<Vector>& expected) const {
  ASSERT_EQ(logits.size(), expected.size());
  for (std::size_t t = 0; t < logits.size(); ++t) {
    ASSERT_EQ(logits[t].size(), expected[t].size());
    for (std::size_t v = 0; v < logits[t].size(); ++v) {
      ASSERT_LE(std::abs(logits[t][v] - expected[t][v]), tolerance_)
          << "sequence " << input.sequence << ", new token " << t << " of " << logits.size()
          << ", logit " << v << ": the group says " << logits[t][v] << ", the oracle "
          << expected[t][v];
    }
  }
}

void CheckedGroup::CheckRound(const RoundOutcome& outcome, const PlainMask& before) {
  Sequence& state = sequences_.at(outcome.sequence);
  const int appended = state.length - state.length_at_begin;
  const int head = std::min(ProtectedHead(state.options), state.length_at_begin);
  const int recent = std::max(head, state.length_at_begin - state.options.window);
  const double allowed = RowsAllowed(state) + 0.5;
  const double is_protected = head + state.length_at_begin - recent;
  // A layer whose unequal share is less than what is protected takes nothing from the others.
  const double most = layer_tables_ ? allowed + is_protected : std::max(allowed, is_protected);
  std::size_t kept_of_less = 0;  // where rows left: elsewhere a round would gain nothing
  for (int layer = 0; layer < layers(); ++layer) {
    const auto& rows = state.positions[layer];
    const auto& kept = outcome.plan[layer].kept;
    ASSERT_EQ(static_cast<int>(rows.size()), outcome.rows[layer_tables_ ? layer : 0]);
    const int ring_rows = static_cast<int>(rows.size() - kept.size()) - appended;
    ASSERT_TRUE(ring_rows >= state.ring_rows[layer] && ring_rows % kPageRows == 0)
        << "sequence " << outcome.sequence << ", layer " << layer << ": a ring of " << ring_rows
        << " rows, before of " << state.ring_rows[layer];
    const std::size_t kept_before = before[layer].size() - state.ring_rows[layer] - appended;
    if (kept.size() < kept_before) kept_of_less += kept.size();
    state.ring_rows[layer] = ring_rows;
    EXPECT_TRUE(std::equal(kept.begin(), kept.end(), rows.begin() + ring_rows))
        << "sequence " << outcome.sequence << ", layer " << layer << ": not the plan's rows";
    const std::set<std::int32_t> attended(before[layer].begin(), before[layer].end());
    for (const std::int32_t position : kept) {
      ASSERT_TRUE(attended.contains(position))
          << "sequence " << outcome.sequence << ", layer " << layer << ": kept position "
          << position << " was not attended";
    }
    const std::set<std::int32_t> now(rows.begin(), rows.end());
    for (int position = 0; position < state.length; ++position) {
      // A fork may protect what its origin evicted.
      if (!attended.contains(position) || (position >= head && position < recent)) continue;
      ASSERT_TRUE(now.contains(position)) << "sequence " << outcome.sequence << ", layer " << layer
                                          << ": protected position " << position << " is gone";
    }
  }
  EXPECT_LE(static_cast<double>(kept_of_less), layers() * most)
      << "sequence " << outcome.sequence << ": more is kept than the budget";
}

double CheckedGroup::RowsAllowed(const Sequence& state) {
  const SequenceOptions& options = state.options;
  if (options.cap > 0) return options.cap;
  const int prompt =
      options.budget_of_generated ? std::min(options.prompt_tokens, state.length_at_begin) : 0;
  return prompt + options.budget * (state.length_at_begin - prompt);
}

PlainMask CheckedGroup::ReadPositions(std::uint64_t sequence) const {
  PlainMask positions;
  for (int layer = 0; layer < layers(); ++layer) {
    positions.push_back(shards_[0]->RowPositions(sequence, layer));
    for (const auto& shard : shards_) {
      EXPECT_EQ(shard->RowPositions(sequence, layer), positions.back())
          << "sequence " << sequence << ", layer " << layer << ": ranks attend different tokens";
    }
  }
  return positions;
}

void CheckedGroup::Census() {
  if (::testing::Test::HasFailure()) return;
  CheckCollectives();
  for (auto& [sequence, state] : sequences_) {
    CheckCounts(sequence, state);
    CheckPositions(sequence, &state);
  }
  OnEach([](const Engine& engine) { return engine.Census(); });
}

void CheckedGroup::CheckCollectives() {
  const auto& first = communicators_[0]->kinds();
  const auto compared = static_cast<std::ptrdiff_t>(compared_collectives_);
  for (const TroubledCommunicator* other : communicators_) {
    EXPECT_TRUE(std::equal(first.begin() + compared, first.end(), other->kinds().begin() + compared,
                           other->kinds().end()))
        << "ranks issue other collectives: " << first.size() << " and " << other->kinds().size();
  }
  compared_collectives_ = first.size();
}

void CheckedGroup::CheckCounts(std::uint64_t sequence, const Sequence& state) {
  int blocks = 0;
  for (int layer = 0; layer < layers(); ++layer) {
    const int rows = static_cast<int>(state.positions[layer].size());
    if (layer == 0 || layer_tables_) blocks += (rows + block_size_ - 1) / block_size_;
    for (int rank = 0; rank < tp(); ++rank) {
      EXPECT_EQ(engine(rank).Rows(sequence, layer), rows)
          << "rank " << rank << ", sequence " << sequence;
      EXPECT_EQ(shards_[rank]->Rows(sequence, layer), rows)
          << "rank " << rank << ", sequence " << sequence;
    }
  }
  if (state.swapped_out) blocks = 0;
  for (int rank = 0; rank < tp(); ++rank) {
    EXPECT_EQ(engine(rank).Length(sequence), state.length) << "sequence " << sequence;
    EXPECT_EQ(shards_[rank]->Length(sequence), state.length) << "sequence " << sequence;
    EXPECT_EQ(engine(rank).BlocksUsed(sequence), blocks) << "sequence " << sequence;
  }
}

void CheckedGroup::CheckPositions(std::uint64_t sequence, Sequence* state) {
  const PlainMask now = ReadPositions(sequence);
  for (int layer = 0; layer < layers(); ++layer) {
    const auto& rows = now[layer];
    EXPECT_EQ(rows, state->positions[layer])
        << "sequence " << sequence << ", layer " << layer << ": rows moved between steps";
    const std::set<std::int32_t> distinct(rows.begin(), rows.end());
    EXPECT_EQ(distinct.size(), rows.size())
        << "sequence " << sequence << ", layer " << layer << ": a token is attended twice";
    EXPECT_TRUE(rows.empty() || (*distinct.begin() >= 0 && *distinct.rbegin() < state->length))
        << "sequence " << sequence << ", layer " << layer << ": a row holds no token";
    EXPECT_TRUE(std::is_sorted(rows.begin() + state->ring_rows[layer], rows.end()))
        << "sequence " << sequence << ", layer " << layer << ": rows are out of order";
  }
}

}  // namespace pinboard::testing
