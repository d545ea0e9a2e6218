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

bool Drifts(const SequenceState& state) {
  return state.recalls() && state.recall_trigger.when == scheduler::RecallWhen::kDrift;
}

/// Of the layers that are decided on together from `layer` on: as many as lie before it, at most
/// eight. `layer` itself where none of these groups begins.
int EndOfGroup(int layer, int layers) {
  constexpr int kMostLayers = 8;
  const bool begins = (layer & (layer - 1)) == 0 || layer % kMostLayers == 0;
  return begins ? std::min(layer + std::clamp(layer, 1, kMostLayers), layers) : layer;
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

absl::Status Recall::MakeVisible(absl::Span<const Rings> sequences) {
  return decisions_.Show(sequences, 0, context_->options.model.layers);
}

absl::Status Recall::MakeVisibleFor(absl::Span<const StepSlice> slices, int layer) {
  const int end = EndOfGroup(layer, context_->options.model.layers);
  if (end == layer) return absl::OkStatus();
  if (layer > 0 && fetcher_->is_waiting()) PB_RETURN_IF_ERROR(fetcher_->Poll());
  decisions_.Decide(end);
  std::vector<Rings> rings;
  rings.reserve(slices.size());
  for (const StepSlice& slice : slices) {
    rings.push_back({slice.entry.sequence, slice.state, &slice.entry.block_tables});
  }
  return decisions_.Show(rings, layer, end);
}

void Recall::BeginStep(absl::Span<const StepSlice> slices) {
  drifts_.assign(slices.size(), {});
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

absl::Status Recall::Score(absl::Span<const StepSlice> slices) {
  decisions_.DecideAll();
  StepFindings& findings = decisions_.Begin(slices);
  if (context_->store != nullptr) PB_RETURN_IF_ERROR(fetcher_->Poll());
  PB_ASSIGN_OR_RETURN(const bool scores, scores_.Enqueue(slices, &findings));
  const bool drifts = std::any_of(slices.begin(), slices.end(),
                                  [](const StepSlice& slice) { return Drifts(*slice.state); });
  return scores || drifts ? context_->operations->Mark() : absl::OkStatus();
}

absl::Status Recall::Exchange(absl::Span<const StepSlice> slices) {
  PB_RETURN_IF_ERROR(AwaitScores());
  PB_RETURN_IF_ERROR(scores_.Merge(&decisions_.findings()));
  if (DecidesAtOnce(slices)) {
    PB_RETURN_IF_ERROR(context_->AwaitLaunched());
    decisions_.Choose();
  }
  ReportDrift(slices);
  if (context_->store == nullptr) return absl::OkStatus();
  PB_RETURN_IF_ERROR(AwaitPages());
  ReportFetches(slices);
  return absl::OkStatus();
}

bool Recall::DecidesAtOnce(absl::Span<const StepSlice> slices) const {
  return context_->options.wait_for_pages ||
         std::any_of(slices.begin(), slices.end(),
                     [](const StepSlice& slice) { return slice.state->recall_ahead >= 0; });
}

absl::Status Recall::AwaitScores() {
  // What arrives meanwhile is taken in while there is nothing else to do.
  while (fetcher_->is_waiting()) {
    PB_ASSIGN_OR_RETURN(const bool marked, context_->operations->HasReachedMark());
    if (marked) break;
    PB_RETURN_IF_ERROR(fetcher_->Poll());
  }
  return context_->operations->AwaitMark();
}

absl::Status Recall::AwaitPages() {
  if (!context_->options.wait_for_pages) return fetcher_->Poll();
  PB_ASSIGN_OR_RETURN(const bool waited, fetcher_->Wait(context_->FetchDeadline()));
  context_->stats.waits += waited ? 1 : 0;
  return absl::OkStatus();
}

void Recall::ReportDrift(absl::Span<const StepSlice> slices) {
  const ShardModel& model = context_->options.model;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (!Drifts(*slices[i].state)) continue;
    const std::int32_t cosine =
        ToFixed32(Cosine(drifts_[i]) / (double{1} * model.total_query_heads * model.layers),
                  kAttentionFractionBits);
    std::uint8_t bytes[sizeof(cosine)];
    std::memcpy(bytes, &cosine, sizeof(cosine));
    report_.insert(report_.end(), std::begin(bytes), std::end(bytes));
  }
}

void Recall::ReportFetches(absl::Span<const StepSlice> slices) {
  StepFindings& findings = decisions_.findings();
  const int layers = context_->options.model.layers;
  for (std::size_t s = 0; s < slices.size(); ++s) {
    if (slices[s].state->in_round) continue;
    for (int l = 0; l < layers; ++l) {
      const scheduler::PageList& in_flight = slices[s].state->layers[l].recall.in_flight();
      if (in_flight.empty()) continue;
      StepFindings::Ring& ring = findings.rings[s * layers + l];
      ring.first_reported = findings.reported.size();
      ring.reported = in_flight.size();
      findings.reported.insert(findings.reported.end(), in_flight.begin(), in_flight.end());
      for (const auto state : fetcher_->StatesOf(slices[s].entry.sequence, l, in_flight)) {
        report_.push_back(state == PageFetcher::State::kReady    ? kReadyHere
                          : state == PageFetcher::State::kMissed ? kMissedHere
                                                                 : 0);
      }
    }
  }
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
    if (!Drifts(*slice.state)) continue;
    snapshot.cosine = 0;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      std::int32_t share = 0;
      std::memcpy(&share, reports.data() + rank * stride + at, sizeof(share));
      snapshot.cosine += share;
    }
    at += sizeof(std::int32_t);
  }
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const auto of_fetches = reports.subspan(rank * stride + at, stride - at);
    decisions_.findings().reports.insert(decisions_.findings().reports.end(), of_fetches.begin(),
                                         of_fetches.end());
  }
  decisions_.MakeReady();
  if (DecidesAtOnce(slices)) decisions_.DecideAll();
}

void Recall::Fork(std::uint64_t from, std::uint64_t to, const SequenceState& state) {
  decisions_.Fork(from, to);
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
  decisions_.Forget(sequence);
}

}  // namespace pinboard
