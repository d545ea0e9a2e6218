// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_plan.h"

#include <xxhash.h>

#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "base/status_macros.h"
#include "kernels/page_transfer/page_transfer.h"
#include "shard/round_choice.h"
#include "shard/round_counts.h"
#include "shard/round_signals.h"
#include "shard/round_threads.h"
#include "shard/slab_leases.h"

namespace pinboard {
namespace {

/// Of numbers in a row.
class Hash {
 public:
  Hash() { XXH3_64bits_reset(state_.get()); }
  void Add(std::initializer_list<std::int64_t> numbers) {
    XXH3_64bits_update(state_.get(), numbers.begin(), numbers.size() * sizeof(std::int64_t));
  }
  /// And how many they are.
  template <typename T>
  void Add(const std::vector<T>& numbers) {
    Add({static_cast<std::int64_t>(numbers.size())});
    XXH3_64bits_update(state_.get(), numbers.data(), numbers.size() * sizeof(T));
  }
  std::uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_{XXH3_createState()};
};

std::uint64_t HashLayer(const LayerState& before, const LayerPlan& plan) {
  Hash hash;
  hash.Add({plan.rows, plan.counts.keep_rows, plan.counts.ring_pages});
  hash.Add(plan.kept_rows);
  for (const auto& rows : plan.head_rows) hash.Add(rows);
  hash.Add(before.information);
  hash.Add(plan.new_information);
  std::vector<std::int64_t> pages;
  pages.reserve(plan.band.publish.size() * (kPageRows + 1));
  for (const auto& page : plan.band.publish) {
    for (const auto& row : page.rows) pages.push_back(row.row);
    pages.push_back(page.mean_information);
  }
  hash.Add(pages);
  hash.Add(plan.band.drop);
  hash.Add(plan.ring_slots);
  hash.Add(plan.band.fill);
  return hash.value();
}

/// Of the hashes of its layers.
std::uint64_t HashPlan(const ShardContext& context, const RoundInProgress& round) {
  std::vector<std::pair<const LayerState*, const LayerPlan*>> layers;
  std::size_t rows = 0;
  Hash hash;
  hash.Add({static_cast<std::int64_t>(round.number)});
  for (const SequencePlan& sequence : round.sequences) {
    hash.Add({static_cast<std::int64_t>(sequence.sequence), sequence.length,
              static_cast<std::int64_t>(sequence.layers.size())});
    const SequenceState& state = context.sequences.at(sequence.sequence);
    for (std::size_t l = 0; l < sequence.layers.size(); ++l) {
      layers.emplace_back(&state.layers[l], &sequence.layers[l]);
      rows += sequence.layers[l].rows;
    }
  }
  std::vector<std::uint64_t> of_layers(layers.size());
  ForEachInParallel(layers.size(), ThreadsForRows(rows), [&](std::size_t i) {
    of_layers[i] = HashLayer(*layers[i].first, *layers[i].second);
  });
  hash.Add(of_layers);
  return hash.value();
}

/// Of the new pages of a sequence, those that this rank offloads.
std::size_t OwnedPages(const ShardContext& context, const SequencePlan& plan) {
  const SequenceState& state = context.sequences.at(plan.sequence);
  if (state.observe) return 0;
  std::size_t owned = 0;
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    for (std::size_t i = 0; i < plan.layers[l].band.publish.size(); ++i) {
      owned += context.OwnsPage(state.layers[l].next_page + static_cast<std::uint32_t>(i)) ? 1 : 0;
    }
  }
  return owned;
}

/// For the pages this rank will offload. Pages without a slab become misses later.
void LeaseSlabs(ShardContext& context, RoundInProgress* round) {
  if (context.store == nullptr) return;
  std::size_t pages = 0;
  for (const SequencePlan& plan : round->sequences) pages += OwnedPages(context, plan);
  round->leases = LeaseUpTo(*context.store, pages, kernels::PageBytes(context.options.model.kv),
                            context.LeaseDeadline());
  context.stats.pages_without_slab += pages - round->leases.size();
}

/// Scores and selects for the sequences `compressed` of the round.
absl::Status PlanLayers(ShardContext& context, absl::Span<const SignalRequest> requests,
                        absl::Span<const std::size_t> compressed, RoundInProgress* round) {
  MergedSignals merged(context.operations->memory());
  PB_RETURN_IF_ERROR(MergeSignals(context, requests, context.RoundDeadline(), &merged));
  std::vector<SequenceToChoose> sequences;
  for (std::size_t i = 0; i < compressed.size(); ++i) {
    sequences.push_back({requests[i].state, merged.sequences[i], &round->sequences[compressed[i]]});
  }
  PB_RETURN_IF_ERROR(ChooseRows(context, sequences));
  LeaseSlabs(context, round);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RoundInProgress> PlanRound(ShardContext& context, std::uint64_t number,
                                          std::span<const Shard::RoundEntry> entries) {
  const int block_size = context.options.model.block_size;
  RoundInProgress round;
  round.number = number;
  std::vector<SignalRequest> requests;
  std::vector<std::size_t> compressed;  // indices into round.sequences
  for (const Shard::RoundEntry& entry : entries) {
    const auto found = context.sequences.find(entry.sequence);
    if (found == context.sequences.end()) {
      return absl::NotFoundError("a round names a sequence that was never added");
    }
    const SequenceState& state = found->second;
    SequencePlan plan;
    plan.sequence = entry.sequence;
    plan.length = state.length;
    plan.keep_all = entry.keep_all;
    if (!plan.keep_all && !RowsAfterRound(state, block_size).empty()) {
      compressed.push_back(round.sequences.size());
      requests.push_back({&state, &entry.block_tables});
    }
    round.sequences.push_back(std::move(plan));
  }
  if (!compressed.empty()) {
    const absl::Status planned = PlanLayers(context, requests, compressed, &round);
    if (absl::IsUnavailable(planned)) return planned;
    if (!planned.ok()) {
      round.NotReady(planned);
      return round;
    }
  }
  round.plan_hash = HashPlan(context, round);
  return round;
}

}  // namespace pinboard
