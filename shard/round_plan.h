// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The first half of a compression round: score, merge, select. Changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache_service/page_store.h"
#include "kernels/influence/influence.h"
#include "scheduler/band_plan.h"
#include "scheduler/round_plan.h"
#include "shard/context.h"

namespace pinboard {

/// What the round will do to one layer of one sequence.
struct LayerPlan {
  scheduler::RoundPlan counts;
  int rows = 0;                         // physical, as of the snapshot
  std::vector<std::int32_t> kept_rows;  // physical, by ascending position; the ring's too
  /// [total_kv_heads][keep] where KV heads keep rows apart (head_round.h); kept_rows are the
  /// first's.
  std::vector<std::vector<std::int32_t>> head_rows;
  /// Merged E of the last rows, which had none: fewer than `rows` where rounds went before.
  std::vector<std::int32_t> new_information;
  kernels::InformationTotals totals;
  scheduler::BandPlan band;
  /// Ring slots that get the pages band.fill, ascending: those of which a row is kept, and those
  /// that are new. The pages that were there are retired: their other rows are borderline or
  /// dropped like any.
  std::vector<int> ring_slots;
  std::int64_t dropped = 0;
  ScoreSummary kept_scores;
  ScoreSummary other_scores;

  int old_rows() const { return rows - static_cast<int>(new_information.size()); }
  /// Merged E of a physical row of `layer`, whose plan this is.
  std::int32_t InformationOf(const LayerState& layer, std::int32_t row) const {
    return row < old_rows() ? layer.information[row] : new_information[row - old_rows()];
  }
};

/// One sequence, as of the snapshot: `length` positions.
struct SequencePlan {
  std::uint64_t sequence = 0;
  int length = 0;
  bool keep_all = false;          // the engine has no blocks for its rows, which others share
  std::vector<LayerPlan> layers;  // empty where nothing is compressed
};

/// A round between Begin and Commit.
struct RoundInProgress {
  std::uint64_t number = 0;
  bool ready = true;
  std::string not_ready_because;
  std::uint64_t plan_hash = 0;
  std::vector<SequencePlan> sequences;
  std::vector<cache_service::PageLease> leases;  // for the new pages this rank offloads

  void NotReady(const absl::Status& because) {
    ready = false;
    not_ready_because = std::string(because.message());
  }
};

/// [one collective where tp > 1 and a sequence is compressed] A of every row and E of the new
/// tokens are merged as integers; what follows is the same arithmetic on every rank. A late rank,
/// or one on which something fails, has a round that is not ready. Unavailable: a rank is lost.
absl::StatusOr<RoundInProgress> PlanRound(ShardContext& context, std::uint64_t number,
                                          std::span<const Shard::RoundEntry> entries);

}  // namespace pinboard
