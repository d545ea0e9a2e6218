// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/ring_decisions.h"

#include <algorithm>
#include <utility>

#include "base/prefetch.h"
#include "base/status_macros.h"

namespace pinboard {
namespace {

/// Layers from here on are chosen beside this thread. Those before are due so soon that it would
/// wait for the other one.
constexpr int kFirstBeside = 4;

}  // namespace

StepFindings& RingDecisions::Begin(absl::Span<const StepSlice> slices) {
  ready_ = chosen_ = false;
  decided_ = 0;
  findings_.sequences.clear();
  for (const StepSlice& slice : slices) {
    findings_.sequences.push_back({slice.entry.sequence, slice.state->steps});
  }
  findings_.rings.assign(slices.size() * context_->options.model.layers, {});
  findings_.reported.clear();
  findings_.reports.clear();
  return findings_;
}

SequenceState* RingDecisions::Find(std::uint64_t sequence) const {
  const auto found = context_->sequences.find(sequence);
  return found == context_->sequences.end() ? nullptr : &found->second;
}

absl::Span<const std::int32_t> RingDecisions::ScoresOf(const StepFindings::Ring& its) const {
  return absl::MakeConstSpan(findings_.scores).subspan(its.first_score, its.scores);
}

void RingDecisions::StartChoices() {
  FindStates();
  beside_.reserve(findings_.rings.size());
  for (int l = kFirstBeside; l < context_->options.model.layers; ++l) {
    for (std::size_t s = 0; s < states_.size(); ++s) {
      beside_.push_back({&states_[s]->layers[l].recall, ScoresOf(ring(s, l))});
    }
  }
  choices_.Start(&beside_);
}

void RingDecisions::AwaitChoices(int end) {
  choices_.Await(findings_.sequences.size() * std::max(end - kFirstBeside, 0));
}

void RingDecisions::MakeReady() {
  ready_ = true;
  if (ChoosesNow()) StartChoices();
}

void RingDecisions::Choose() {
  StartChoices();
  AwaitChoices(context_->options.model.layers);
  ForEachRing(0, context_->options.model.layers,
              [this](std::size_t s, SequenceState& state, int l) { RequestFor(s, state, l); });
  chosen_ = true;
  StartFetches(*context_, *fetcher_, &requests_);
}

void RingDecisions::Decide(int end) {
  if (!ready_ || decided_ >= end) return;
  if (ChoosesNow()) AwaitChoices(end);
  ForEachRing(decided_, end, [this](std::size_t s, SequenceState& state, int l) {
    if (ChoosesNow()) RequestFor(s, state, l);
    SettleFor(s, state, l);
  });
  StartFetches(*context_, *fetcher_, &requests_);
  decided_ = end;
  ready_ = end < context_->options.model.layers;
}

void RingDecisions::FindStates() {
  states_.clear();
  for (const StepFindings::Sequence& sequence : findings_.sequences) {
    states_.push_back(Find(sequence.id));
  }
}

void RingDecisions::ForEachRing(int first, int end,
                                absl::FunctionRef<void(std::size_t, SequenceState&, int)> visit) {
  FindStates();
  const std::size_t layers = end - first, rings = states_.size() * layers;
  const auto layer_of = [&](std::size_t ring) -> const LayerState& {
    return states_[ring / layers]->layers[first + ring % layers];
  };
  for (std::size_t i = 0; i < rings; ++i) {
    if (i + 2 < rings) Prefetch(layer_of(i + 2).recall);
    if (i + 1 < rings) {
      const scheduler::RecallPlan& next = layer_of(i + 1).recall;
      first < kFirstBeside ? next.PrefetchScores() : next.PrefetchFetch();
    }
    visit(i / layers, *states_[i / layers], first + static_cast<int>(i % layers));
  }
}

void RingDecisions::RequestFor(std::size_t sequence, SequenceState& state, int layer) {
  const StepFindings::Ring& its = ring(sequence, layer);
  if (its.scores == 0) return;
  if (layer < kFirstBeside) state.layers[layer].recall.TakeIn(ScoresOf(its));
  RequestPages(findings_.sequences[sequence].id, state, layer, findings_.sequences[sequence].step,
               fetcher_->room() - static_cast<int>(requests_.size()), &requests_);
}

void RingDecisions::SettleFor(std::size_t sequence, SequenceState& state, int layer) {
  const StepFindings::Ring& its = ring(sequence, layer);
  if (its.reported == 0) return;
  all_hold_.clear();
  any_missed_.clear();
  const std::size_t stride = findings_.reported.size();
  for (std::size_t at = its.first_reported; at < its.first_reported + its.reported; ++at) {
    std::uint8_t all = kReadyHere;
    std::uint8_t any = 0;
    for (std::size_t of_rank = at; of_rank < findings_.reports.size(); of_rank += stride) {
      all &= findings_.reports[of_rank];
      any |= findings_.reports[of_rank];
    }
    if ((any & kMissedHere) != 0) {
      any_missed_.push_back(findings_.reported[at]);
    } else if ((all & kReadyHere) != 0) {
      all_hold_.push_back(findings_.reported[at]);
    }
  }
  SettlePages(*context_, *fetcher_, findings_.sequences[sequence].id, state, layer, all_hold_,
              any_missed_, &agreed_);
}

absl::Status RingDecisions::Show(absl::Span<const Rings> sequences, int first, int end) {
  if (agreed_.empty()) return absl::OkStatus();
  const Rings* rings = nullptr;  // of the page before: those of a sequence follow each other
  const auto rings_of = [&](const AgreedPage& agreed) -> const Rings* {
    if (agreed.layer < first || agreed.layer >= end) return nullptr;
    if (rings != nullptr && rings->sequence == agreed.sequence) return rings;
    const auto found = std::find_if(sequences.begin(), sequences.end(), [&](const Rings& one) {
      return one.sequence == agreed.sequence;
    });
    return found == sequences.end() ? nullptr : rings = &*found;
  };
  std::size_t staying = 0;  // mostly none
  std::vector<PageIn> pages;
  pages.reserve(agreed_.size());
  for (std::size_t i = 0; i < agreed_.size(); ++i) {
    constexpr std::size_t kAhead = 8;
    if (i + 2 * kAhead < agreed_.size()) {
      const AgreedPage& later = agreed_[i + 2 * kAhead];
      if (const SequenceState* state = Find(later.sequence)) {
        state->layers[later.layer].pages.prefetch(later.replacement.page);
      }
    }
    if (i + kAhead < agreed_.size()) {
      const AgreedPage& soon = agreed_[i + kAhead];
      if (const SequenceState* state = Find(soon.sequence)) PrefetchPage(*state, soon);
    }
    AgreedPage& agreed = agreed_[i];
    const Rings* const its = rings_of(agreed);
    if (its == nullptr) {
      if (staying != i) agreed_[staying] = std::move(agreed);
      ++staying;
      continue;
    }
    PB_ASSIGN_OR_RETURN(pages.emplace_back(),
                        ShowPage(*context_, *its->state, *its->tables, agreed));
  }
  PB_RETURN_IF_ERROR(context_->operations->ScatterPages(pages));
  agreed_.resize(staying);
  return absl::OkStatus();
}

void RingDecisions::Fork(std::uint64_t from, std::uint64_t to) {
  const std::size_t count = agreed_.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (agreed_[i].sequence != from) continue;
    AgreedPage page = agreed_[i];
    page.sequence = to;
    agreed_.push_back(std::move(page));
  }
}

void RingDecisions::Forget(std::uint64_t sequence) {
  agreed_.erase(
      std::remove_if(agreed_.begin(), agreed_.end(),
                     [&](const AgreedPage& agreed) { return agreed.sequence == sequence; }),
      agreed_.end());
}

}  // namespace pinboard
