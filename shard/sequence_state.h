// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Everything a rank knows of one sequence besides its rows, which the engine holds.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "base/page.h"
#include "cache_service/page_store.h"
#include "kernels/influence/influence.h"
#include "scheduler/layer_budget.h"
#include "scheduler/policy/policy.h"
#include "scheduler/recall_plan.h"
#include "scheduler/recall_trigger.h"
#include "scheduler/round_plan.h"
#include "scheduler/round_trigger.h"
#include "shard/digest_table.h"
#include "shard/query_window.h"

namespace pinboard {

/// A page of the band, in the service and perhaps in the ring too.
struct PageInfo {
  cache_service::PageRef ref;
  std::int64_t mean_information = 0;
  std::array<std::int32_t, kPageRows> positions{};
  std::array<std::int32_t, kPageRows> information{};
};

/// One layer. Physical rows: [ring | kept, ascending positions | new, ascending positions].
struct LayerState {
  std::vector<std::int32_t> positions;    // [rows]
  std::vector<std::int32_t> information;  // [rows], merged E; 0 until the row's first round
  kernels::InformationTotals totals;      // over all tokens merged so far, dropped ones included
  std::vector<float> pending_shift;       // D of the tokens [merged_length, length)
  QueryWindow queries;
  QueryWindow log_sum_exps;  // of queries, where the engine has shown them: [query_heads] each
  DigestTable digests;
  absl::flat_hash_map<std::uint32_t, PageInfo> pages;
  scheduler::RecallPlan recall;
  SpaceVector<float> chosen_by;  // query of the last choice of pages; kept for kDrift alone
  std::uint32_t next_page = 0;

  int rows() const { return static_cast<int>(positions.size()); }
  int ring_rows() const { return recall.ring_pages() * kPageRows; }
};

/// A value type: forking a sequence copies it. The same on every rank but for this rank's floats
/// (queries, digests, pending signals).
struct SequenceState {
  scheduler::PolicySpec policy;
  scheduler::BudgetOptions budget;
  scheduler::LayerShare layer_share = scheduler::LayerShare::kUniform;
  scheduler::KeepScope scope = scheduler::KeepScope::kLayer;
  scheduler::RoundTrigger trigger;
  bool observe = false;  // rounds change nothing
  int prompt_tokens = 0;

  int length = 0;           // positions so far
  int length_at_round = 0;  // of its last round, applied or not
  int merged_length = 0;    // tokens whose E all ranks agree on
  /// Entropy of the model's output after the tokens [merged_length - 1, length): the first one is
  /// that of the token before the pending ones, 0 where there is none (docs/method.md: H_0 = 0).
  std::vector<float> entropy_after = {0.0F};
  std::uint64_t steps = 0;
  scheduler::RecallTrigger recall_trigger;
  scheduler::RecallSnapshot recall_snapshot;
  int recall_ahead = -1;  // SequenceOptions
  bool chooses = false;   // in the open step: pages are scored
  std::uint32_t generation =
      0;  // of the pages it makes: no other sequence had it, the id before too
  bool has_published = false;
  bool heads_apart = false;  // its KV heads hold other tokens in the same row: head_round.h
  bool in_round = false;     // between BeginRound and CommitRound: the ring stands still
  std::vector<LayerState> layers;

  bool recalls() const {
    return std::any_of(layers.begin(), layers.end(),
                       [](const LayerState& layer) { return layer.recall.ring_pages() > 0; });
  }
  /// Whether a layer's pages are visible at the step that chooses them.
  bool recalls_within_step(int layer) const { return recall_ahead >= 0 && layer >= recall_ahead; }
};

/// The state as it was after the sequence's first `tokens` tokens, without rounds that had nothing
/// to gain. Of the queries those stay that are still there. FailedPrecondition: the sequence has
/// fewer, or some of them were evicted.
absl::StatusOr<SequenceState> Prefix(const SequenceState& state, int tokens);

}  // namespace pinboard
