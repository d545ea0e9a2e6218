// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/ring_decisions.h"

#include <algorithm>

#include "base/status_macros.h"

namespace pinboard {

StepFindings& RingDecisions::Begin(absl::Span<const StepSlice> slices) {
  ready_ = chosen_ = false;
  decided_ = 0;
  findings_.sequences.clear();
  for (const StepSlice& slice : slices) {
    findings_.sequences.push_back({slice.entry.sequence, slice.state->steps});
  }
  findings_.rings.assign(slices.size() * context_->options.model.layers, {});
  findings_.scores.clear();
  findings_.reported.clear();
  findings_.reports.clear();
  return findings_;
}

SequenceState* RingDecisions::Find(std::uint64_t sequence) const {
  const auto found = context_->sequences.find(sequence);
  return found == context_->sequences.end() ? nullptr : &found->second;
}

void RingDecisions::Choose() {
  for (std::size_t s = 0; s < findings_.sequences.size(); ++s) {
    SequenceState& state = *Find(findings_.sequences[s].id);
    for (int l = 0; l < context_->options.model.layers; ++l) ChooseFor(s, state, l);
  }
  chosen_ = true;
  StartFetches();
}

void RingDecisions::Decide(int end) {
  if (!ready_ || decided_ >= end) return;
  for (std::size_t s = 0; s < findings_.sequences.size(); ++s) {
    SequenceState& state = *Find(findings_.sequences[s].id);
    for (int l = decided_; l < end; ++l) {
      if (!chosen_) ChooseFor(s, state, l);
      SettleFor(s, state, l);
    }
  }
  StartFetches();
  decided_ = end;
  ready_ = end < context_->options.model.layers;
}

void RingDecisions::ChooseFor(std::size_t sequence, SequenceState& state, int layer) {
  const StepFindings::Ring& its = ring(sequence, layer);
  if (its.scores == 0) return;
  ChoosePages(findings_.sequences[sequence].id, state, layer, findings_.sequences[sequence].step,
              absl::MakeConstSpan(findings_.scores).subspan(its.first_score, its.scores),
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

void RingDecisions::StartFetches() {
  if (!requests_.empty()) fetcher_->Start(requests_, context_->FetchDeadline());
  requests_.clear();
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
  const auto shown =
      std::stable_partition(agreed_.begin(), agreed_.end(),
                            [&](const AgreedPage& agreed) { return rings_of(agreed) == nullptr; });
  std::vector<PageIn> pages;
  pages.reserve(agreed_.end() - shown);
  for (auto agreed = shown; agreed != agreed_.end(); ++agreed) {
    const Rings& its = *rings_of(*agreed);
    PB_ASSIGN_OR_RETURN(pages.emplace_back(),
                        ShowPage(*context_, *its.state, *its.tables, *agreed));
  }
  PB_RETURN_IF_ERROR(context_->operations->ScatterPages(pages));
  agreed_.erase(shown, agreed_.end());
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
