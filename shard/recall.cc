// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/recall.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/page_digest/page_digest.h"
#include "kernels/page_transfer/page_transfer.h"
#include "shard/block_tables.h"

namespace pinboard {
namespace {

constexpr std::uint8_t kReadyHere = 1;
constexpr std::uint8_t kMissedHere = 2;

}  // namespace

absl::Status Recall::Scatter(SequenceState& state, const BlockTables& tables,
                             const Agreed& agreed) {
  const ShardModel& model = context_->options.model;
  LayerState& layer = state.layers[agreed.layer];
  const auto info = layer.pages.find(agreed.replacement.page);
  if (info == layer.pages.end()) {
    return absl::InternalError(absl::StrCat("page ", agreed.replacement.page, " of layer ",
                                            agreed.layer,
                                            " became visible after it left the band"));
  }
  const FetchedPage& page = *agreed.fetched.page;
  const int first_row = agreed.replacement.ring_slot * kPageRows;
  PB_RETURN_IF_ERROR(kernels::PageScatter(
      {model.cache[agreed.layer], model.kv, model.block_size, TableOf(tables, agreed.layer)},
      first_row, {info->second.ref.key, info->second.ref.generation}, page.header.tag, page.bytes));
  std::copy(info->second.positions.begin(), info->second.positions.end(),
            layer.positions.begin() + first_row);
  std::copy(info->second.information.begin(), info->second.information.end(),
            layer.information.begin() + first_row);
  ++context_->stats.pages_recalled;
  context_->stats.bytes_recalled += page.bytes.size();
  context_->stats.recall_lag_steps += state.steps - agreed.fetched.wanted_at;
  return absl::OkStatus();
}

absl::Status Recall::MakeVisible(std::uint64_t sequence, SequenceState& state,
                                 const BlockTables& tables) {
  for (const Agreed& agreed : agreed_) {
    if (agreed.sequence == sequence) PB_RETURN_IF_ERROR(Scatter(state, tables, agreed));
  }
  agreed_.erase(std::remove_if(agreed_.begin(), agreed_.end(),
                               [&](const Agreed& agreed) { return agreed.sequence == sequence; }),
                agreed_.end());
  return absl::OkStatus();
}

absl::Status Recall::Score(absl::Span<const StepSlice> slices, int layer,
                           absl::Span<const float> queries) {
  const ShardModel& model = context_->options.model;
  const std::size_t width = static_cast<std::size_t>(model.query_heads) * model.kv.key_dim;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const StepSlice& slice = slices[i];
    if (!slice.state->recalls()) continue;
    const LayerState& state = slice.state->layers[layer];
    const std::vector<std::int32_t> slots = state.digests.Slots(state.recall.pages());
    std::vector<std::int32_t> scores(slots.size());
    const int tokens = slice.entry.tokens;
    PB_RETURN_IF_ERROR(
        kernels::ScorePages({state.digests.view(), model.kv, slots,
                             queries.subspan(slice.first_token * width, tokens * width), tokens,
                             model.query_heads, model.total_query_heads, model.attention_scale},
                            absl::MakeSpan(scores)));
    by_slice_[i].push_back(std::move(scores));
  }
  return absl::OkStatus();
}

absl::Status Recall::Exchange(absl::Span<const StepSlice> slices) {
  scores_.clear();
  for (const auto& layers : by_slice_) {
    for (const auto& scores : layers) scores_.insert(scores_.end(), scores.begin(), scores.end());
  }
  if (scores_.empty()) return absl::OkStatus();
  if (context_->tp() > 1) {
    PB_RETURN_IF_ERROR(AsLostRank(
        context_->communicator->SumInt32(absl::MakeSpan(scores_), context_->RankDeadline())));
  }
  auto merged = absl::MakeConstSpan(scores_);
  std::vector<PageFetcher::Request> requests;
  int allowed = context_->options.max_fetch_pages_per_step;
  for (const StepSlice& slice : slices) {
    if (!slice.state->recalls()) continue;
    for (int l = 0; l < context_->options.model.layers; ++l) {
      LayerState& layer = slice.state->layers[l];
      const std::size_t pages = layer.recall.pages().size();
      for (const std::uint32_t page : layer.recall.Update(merged.first(pages), allowed)) {
        requests.push_back(
            {{slice.entry.sequence, l, page}, layer.pages.at(page).ref, slice.state->steps});
        --allowed;
      }
      merged.remove_prefix(pages);
      context_->stats.ring_pages_seen += layer.recall.ring().size();
    }
    ++context_->stats.steps_with_recall;
  }
  if (!requests.empty()) fetcher_.Start(requests, context_->FetchDeadline());
  return absl::OkStatus();
}

std::vector<std::uint8_t> Recall::Report(absl::Span<const StepSlice> slices) {
  std::vector<std::uint8_t> report;
  if (context_->store == nullptr) return report;
  if (!context_->options.wait_for_pages) {
    fetcher_.Poll();
  } else if (fetcher_.Wait(context_->FetchDeadline())) {
    ++context_->stats.waits;
  }
  for (const StepSlice& slice : slices) {
    if (slice.state->in_round) continue;
    for (std::size_t l = 0; l < slice.state->layers.size(); ++l) {
      for (const std::uint32_t page : slice.state->layers[l].recall.in_flight()) {
        const auto state = fetcher_.StateOf({slice.entry.sequence, static_cast<int>(l), page});
        report.push_back(state == PageFetcher::State::kReady    ? kReadyHere
                         : state == PageFetcher::State::kMissed ? kMissedHere
                                                                : 0);
      }
    }
  }
  return report;
}

void Recall::Resolve(absl::Span<const StepSlice> slices, absl::Span<const std::uint8_t> reports) {
  const auto ranks = static_cast<std::size_t>(context_->tp());
  const std::size_t stride = reports.size() / ranks;
  std::size_t at = 0;
  for (const StepSlice& slice : slices) {
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
      ResolveLayer(slice, static_cast<int>(l), ready, missed);
    }
  }
}

void Recall::ResolveLayer(const StepSlice& slice, int layer, absl::Span<const std::uint32_t> ready,
                          absl::Span<const std::uint32_t> missed) {
  const std::uint64_t sequence = slice.entry.sequence;
  LayerState& state = slice.state->layers[layer];
  for (const auto& replacement : state.recall.Resolve(ready, missed)) {
    agreed_.push_back(
        {sequence, layer, replacement, fetcher_.Take({sequence, layer, replacement.page})});
  }
  for (const std::uint32_t page : ready) fetcher_.Take({sequence, layer, page});
  for (const std::uint32_t page : missed) {
    fetcher_.Take({sequence, layer, page});
    const auto info = state.pages.find(page);
    if (info->second.ref.key.sequence == sequence) context_->store->Drop({&info->second.ref, 1});
    state.digests.Remove(page);
    state.pages.erase(info);
    ++context_->stats.misses;
  }
}

void Recall::Fork(std::uint64_t from, std::uint64_t to, const SequenceState& state) {
  std::vector<Agreed> agreed;
  for (const Agreed& one : agreed_) {
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
  if (!requests.empty()) fetcher_.Start(requests, context_->FetchDeadline());
}

void Recall::Forget(std::uint64_t sequence) {
  fetcher_.Forget(sequence);
  agreed_.erase(std::remove_if(agreed_.begin(), agreed_.end(),
                               [&](const Agreed& agreed) { return agreed.sequence == sequence; }),
                agreed_.end());
}

}  // namespace pinboard
