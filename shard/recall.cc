// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/recall.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/fixed_point.h"
#include "base/status_macros.h"

namespace pinboard {
namespace {

constexpr std::uint8_t kReadyHere = 1;
constexpr std::uint8_t kMissedHere = 2;

bool Drifts(const SequenceState& state) {
  return state.recalls() && state.recall_trigger.when == scheduler::RecallWhen::kDrift;
}

/// Summed over this rank's heads and layers.
double Cosine(absl::Span<const std::vector<float>> shifts) {
  double sum = 0.0;
  for (const auto& layer : shifts) {
    for (const float shift : layer) sum += 1.0 - shift;
  }
  return sum;
}

}  // namespace

absl::Status Recall::MakeVisible(absl::Span<const Rings> sequences, int first, int end) {
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

absl::Status Recall::MakeVisibleFor(absl::Span<const StepSlice> slices, int layer) {
  if (layer > 1 || agreed_.empty()) return absl::OkStatus();
  std::vector<Rings> rings;
  for (const StepSlice& slice : slices) {
    rings.push_back({slice.entry.sequence, slice.state, &slice.entry.block_tables});
  }
  return MakeVisible(rings, layer, layer == 0 ? 1 : context_->options.model.layers);
}

void Recall::BeginStep(absl::Span<const StepSlice> slices) {
  drifts_.assign(slices.size(), {});
  scores_.clear();
  report_.clear();
  for (const StepSlice& slice : slices) {
    SequenceState& state = *slice.state;
    ++state.recall_snapshot.steps_since;
    state.chooses =
        state.recalls() && scheduler::IsDue(state.recall_trigger, state.recall_snapshot);
    for (const LayerState& layer : state.layers) {
      context_->stats.ring_pages_seen += layer.recall.ring().size();
    }
    if (!state.chooses) continue;
    state.recall_snapshot.chosen_before = true;
    state.recall_snapshot.steps_since = 0;
    ++context_->stats.recall_choices;
  }
}

absl::Status Recall::Observe(absl::Span<const StepSlice> slices, int layer,
                             absl::Span<const float> queries) {
  const ShardModel& model = context_->options.model;
  const std::size_t width = static_cast<std::size_t>(model.query_heads) * model.kv.key_dim;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (!Drifts(*slices[i].state)) continue;
    const std::size_t last = slices[i].first_token + slices[i].entry.tokens - 1;
    PB_RETURN_IF_ERROR(
        TakeDrift(slices[i], layer, queries.subspan(last * width, width), &drifts_[i]));
  }
  return absl::OkStatus();
}

absl::Status Recall::TakeDrift(const StepSlice& slice, int layer, absl::Span<const float> query,
                               Drift* drift) const {
  const ShardModel& model = context_->options.model;
  SpaceVector<float>& chosen_by = slice.state->layers[layer].chosen_by;
  if (slice.state->chooses) PB_RETURN_IF_ERROR(chosen_by.Assign(query));
  std::vector<float>& shift = drift->emplace_back(model.query_heads);
  return context_->operations->RepresentationShift(query, chosen_by.view(), model.query_heads,
                                                   model.kv.key_dim, absl::MakeSpan(shift));
}

void Recall::ForEachScored(
    absl::Span<const StepSlice> slices,
    absl::FunctionRef<void(const StepSlice&, LayerState&, int)> visit) const {
  for (const StepSlice& slice : slices) {
    if (!slice.state->chooses) continue;
    for (int l = 0; l < context_->options.model.layers; ++l) {
      if (!slice.state->recalls_within_step(l)) visit(slice, slice.state->layers[l], l);
    }
  }
}

absl::Status Recall::Score(absl::Span<const StepSlice> slices) {
  if (context_->store != nullptr) PB_RETURN_IF_ERROR(fetcher_->Poll());
  std::vector<PagesToScore> layers;
  std::size_t scores = 0;
  ForEachScored(slices,
                [&](const StepSlice&, LayerState& layer, int) { scores += layer.digests.size(); });
  scores_.resize(scores);
  auto out = absl::MakeSpan(scores_);
  ForEachScored(slices, [&](const StepSlice& slice, LayerState& layer, int) {
    const int last = std::min(slice.entry.tokens, slice.state->policy.window);
    const std::size_t pages = layer.digests.size();
    layers.push_back(LivePages(*context_, layer, layer.queries.Last(last), out.first(pages)));
    out.remove_prefix(pages);
  });
  const bool drifts = std::any_of(slices.begin(), slices.end(),
                                  [](const StepSlice& slice) { return Drifts(*slice.state); });
  if (layers.empty() && !drifts) return absl::OkStatus();
  PB_RETURN_IF_ERROR(context_->operations->ScorePages(layers));
  return context_->operations->Mark();
}

absl::Status Recall::Exchange(absl::Span<const StepSlice> slices) {
  PB_RETURN_IF_ERROR(context_->operations->AwaitMark());
  PB_RETURN_IF_ERROR(Choose(slices));
  return TakeReport(slices);
}

absl::Status Recall::Choose(absl::Span<const StepSlice> slices) {
  if (scores_.empty()) return absl::OkStatus();
  if (context_->tp() > 1) {
    PB_RETURN_IF_ERROR(AsLostRank(
        context_->communicator->SumInt32(absl::MakeSpan(scores_), context_->RankDeadline())));
  }
  auto merged = absl::MakeConstSpan(scores_);
  std::vector<PageFetcher::Request> requests;
  ForEachScored(slices, [&](const StepSlice& slice, LayerState& layer, int l) {
    const std::size_t pages = layer.digests.size();
    ChoosePages(slice.entry.sequence, *slice.state, l, merged.first(pages),
                fetcher_->room() - static_cast<int>(requests.size()), &requests);
    merged.remove_prefix(pages);
  });
  if (!requests.empty()) fetcher_->Start(requests, context_->FetchDeadline());
  return absl::OkStatus();
}

absl::Status Recall::TakeReport(absl::Span<const StepSlice> slices) {
  if (context_->store == nullptr) return absl::OkStatus();
  if (!context_->options.wait_for_pages) {
    PB_RETURN_IF_ERROR(fetcher_->Poll());
  } else {
    PB_ASSIGN_OR_RETURN(const bool waited, fetcher_->Wait(context_->FetchDeadline()));
    context_->stats.waits += waited ? 1 : 0;
  }
  const ShardModel& model = context_->options.model;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const StepSlice& slice = slices[i];
    if (Drifts(*slice.state)) {
      const std::int32_t cosine =
          ToFixed32(Cosine(drifts_[i]) / (double{1} * model.total_query_heads * model.layers),
                    kAttentionFractionBits);
      std::uint8_t bytes[sizeof(cosine)];
      std::memcpy(bytes, &cosine, sizeof(cosine));
      report_.insert(report_.end(), std::begin(bytes), std::end(bytes));
    }
    if (slice.state->in_round) continue;
    for (std::size_t l = 0; l < slice.state->layers.size(); ++l) {
      for (const auto state : fetcher_->StatesOf(slice.entry.sequence, static_cast<int>(l),
                                                 slice.state->layers[l].recall.in_flight())) {
        report_.push_back(state == PageFetcher::State::kReady    ? kReadyHere
                          : state == PageFetcher::State::kMissed ? kMissedHere
                                                                 : 0);
      }
    }
  }
  return absl::OkStatus();
}

void Recall::Resolve(absl::Span<const StepSlice> slices, absl::Span<const std::uint8_t> reports,
                     absl::Span<const float> entropy_after) {
  const auto ranks = static_cast<std::size_t>(context_->tp());
  const std::size_t stride = reports.size() / ranks;
  std::size_t at = 0;
  for (const StepSlice& slice : slices) {
    scheduler::RecallSnapshot& snapshot = slice.state->recall_snapshot;
    snapshot.entropy = ToFixed32(entropy_after[slice.first_token + slice.entry.tokens - 1],
                                 kInformationFractionBits);
    if (Drifts(*slice.state)) {
      snapshot.cosine = 0;
      for (std::size_t rank = 0; rank < ranks; ++rank) {
        std::int32_t share = 0;
        std::memcpy(&share, reports.data() + rank * stride + at, sizeof(share));
        snapshot.cosine += share;
      }
      at += sizeof(std::int32_t);
    }
    if (slice.state->in_round) continue;
    for (std::size_t l = 0; l < slice.state->layers.size(); ++l) {
      std::vector<std::uint32_t> ready;
      std::vector<std::uint32_t> missed;
      for (const std::uint32_t page : slice.state->layers[l].recall.in_flight()) {
        std::uint8_t all = kReadyHere;
        std::uint8_t any = 0;
        for (std::size_t rank = 0; rank < ranks; ++rank) {
          all &= reports[rank * stride + at];
          any |= reports[rank * stride + at];
        }
        ++at;
        if ((any & kMissedHere) != 0) {
          missed.push_back(page);
        } else if ((all & kReadyHere) != 0) {
          ready.push_back(page);
        }
      }
      auto agreed = SettlePages(*context_, *fetcher_, slice.entry.sequence, *slice.state,
                                static_cast<int>(l), ready, missed);
      std::move(agreed.begin(), agreed.end(), std::back_inserter(agreed_));
    }
  }
}

void Recall::Fork(std::uint64_t from, std::uint64_t to, const SequenceState& state) {
  std::vector<AgreedPage> agreed;
  for (const AgreedPage& one : agreed_) {
    if (one.sequence != from) continue;
    agreed.push_back(one);
    agreed.back().sequence = to;
  }
  agreed_.insert(agreed_.end(), agreed.begin(), agreed.end());
  std::vector<PageFetcher::Request> requests;
  for (std::size_t l = 0; l < state.layers.size(); ++l) {
    for (const std::uint32_t page : state.layers[l].recall.in_flight()) {
      requests.push_back(
          {{to, static_cast<int>(l), page}, state.layers[l].pages.at(page).ref, state.steps});
    }
  }
  if (!requests.empty()) fetcher_->Start(requests, context_->FetchDeadline());
}

void Recall::Forget(std::uint64_t sequence) {
  fetcher_->Forget(sequence);
  agreed_.erase(
      std::remove_if(agreed_.begin(), agreed_.end(),
                     [&](const AgreedPage& agreed) { return agreed.sequence == sequence; }),
      agreed_.end());
}

}  // namespace pinboard
