// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/sequence_apply.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/census.h"
#include "shard/head_round.h"

namespace pinboard {
namespace {

/// Into the band.
void Enter(LayerState& layer, const SealedPage& page) {
  const auto& header = page.header;
  layer.next_page = header.key.page + 1;
  layer.digests.Add(header.key.page, page.digest_slot);
  layer.pages[header.key.page] = {{header.key, header.generation},
                                  header.mean_information,
                                  header.positions,
                                  header.information};
  layer.recall.Add(header.key.page, header.mean_information);
}

}  // namespace

SequenceApplier::SequenceApplier(ShardContext* context, AgreedSequence* agreed,
                                 StoreRequests* requests)
    : context_(*context),
      agreed_(*agreed),
      plan_(*agreed->plan),
      state_(context->sequences.at(plan_.sequence)),
      requests_(*requests),
      dropped_(plan_.layers.size()) {}

std::size_t SequenceApplier::rows() const {
  std::size_t rows = 0;
  for (const LayerPlan& layer : plan_.layers) rows += layer.rows;
  return rows;
}

absl::Status SequenceApplier::MoveRows() {
  for (int l = 0; l < layers(); ++l) PB_RETURN_IF_ERROR(MoveLayer(l));
  return context_.operations->Compact(moves_);
}

absl::Status SequenceApplier::FillRings() {
  RoundOutcome& outcome = *agreed_.outcome;
  for (int l = 0; l < layers(); ++l) {
    if (!hashes_.empty()) PB_RETURN_IF_ERROR(CheckMoved(l, hashes_[l]));
    FillRing(l);
    requests_.dropped.insert(requests_.dropped.end(), dropped_[l].begin(), dropped_[l].end());
    PublishPages(absl::MakeSpan(agreed_.prepared[l].pages));
    const LayerPlan& layer = plan_.layers[l];
    outcome.kept += static_cast<std::int64_t>(layer.kept_rows.size());
    outcome.ring += state_.layers[l].ring_rows();
    outcome.borderline += static_cast<std::int64_t>(layer.band.publish.size()) * kPageRows;
    outcome.dropped += layer.dropped;
  }
  return context_.operations->ScatterPages(fills_);
}

absl::Status SequenceApplier::MoveLayer(int l) {
  LayerState& layer = state_.layers[l];
  const LayerPlan& plan = plan_.layers[l];
  const PreparedLayer& prepared = agreed_.prepared[l];
  const int ring_rows = old_ring_rows_.emplace_back(layer.ring_rows());
  layer.recall.GrowRing(plan.counts.ring_pages);
  if (!plan.head_rows.empty()) {
    return CompactHeads(context_, l, agreed_.tables, plan.head_rows, plan.rows, layer.rows());
  }
  const ShardModel& model = context_.options.model;
  moves_.push_back({model.cache[l], model.kv, model.block_size, Source(l), prepared.moved,
                    layer.ring_rows(), ring_rows, Destination(l)});
  if (!context_.options.census) return absl::OkStatus();
  PB_ASSIGN_OR_RETURN(hashes_.emplace_back(),
                      HashRows(*context_.operations, model, l, Source(l), prepared.moved));
  return absl::OkStatus();
}

void SequenceApplier::ApplyLayer(int l) {
  LayerState& layer = state_.layers[l];
  const PreparedLayer& prepared = agreed_.prepared[l];
  for (const SealedPage& page : prepared.pages) Enter(layer, page);
  MoveStates(l, prepared.moved);
  PlaceInRing(l, prepared.pages);
  layer.totals = plan_.layers[l].totals;
  layer.pending_shift.erase(layer.pending_shift.begin(), layer.pending_shift.begin() + pending());
  DropPages(l);
}

void SequenceApplier::MoveStates(int l, absl::Span<const std::int32_t> moved) {
  LayerState& layer = state_.layers[l];
  const LayerPlan& plan = plan_.layers[l];
  const std::size_t ring_rows = layer.ring_rows();
  std::vector<std::int32_t> positions(ring_rows + moved.size());
  std::vector<std::int32_t> information(ring_rows + moved.size());
  std::copy_n(layer.positions.begin(), old_ring_rows_[l], positions.begin());
  std::copy_n(layer.information.begin(), old_ring_rows_[l], information.begin());
  std::copy(plan.new_information.begin(), plan.new_information.end(),
            layer.information.begin() + plan.old_rows());
  for (std::size_t i = 0; i < moved.size(); ++i) {
    positions[ring_rows + i] = layer.positions[moved[i]];
    information[ring_rows + i] = layer.information[moved[i]];
  }
  layer.positions = std::move(positions);
  layer.information = std::move(information);
}

absl::Status SequenceApplier::CheckMoved(int l, absl::Span<const std::uint64_t> before) const {
  std::vector<std::int32_t> targets(before.size());
  const int ring_rows = state_.layers[l].ring_rows();
  std::iota(targets.begin(), targets.end(), ring_rows);
  PB_ASSIGN_OR_RETURN(
      const std::vector<std::uint64_t> after,
      HashRows(*context_.operations, context_.options.model, l, Destination(l), targets));
  const auto differs = std::mismatch(after.begin(), after.end(), before.begin()).first;
  if (differs == after.end()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("census: layer ", l, " row ",
                                          ring_rows + (differs - after.begin()),
                                          " does not hold the bytes that were kept"));
}

void SequenceApplier::FillRing(int l) {
  const ShardModel& model = context_.options.model;
  const LayerPlan& plan = plan_.layers[l];
  for (std::size_t i = 0; i < plan.ring_slots.size(); ++i) {
    const SealedPage& page = agreed_.prepared[l].pages[plan.band.fill[i]];
    fills_.push_back({{model.cache[l], model.kv, model.block_size, Destination(l)},
                      plan.ring_slots[i] * kPageRows,
                      {page.header.key, page.header.generation},
                      page.header.tag,
                      {page.own.get(), page.header.bytes},
                      page.own});
  }
}

void SequenceApplier::PlaceInRing(int l, absl::Span<const SealedPage> sealed) {
  LayerState& layer = state_.layers[l];
  const LayerPlan& plan = plan_.layers[l];
  for (std::size_t i = 0; i < plan.ring_slots.size(); ++i) {
    const SealedPage& page = sealed[plan.band.fill[i]];
    const int slot = plan.ring_slots[i];
    const int first_row = slot * kPageRows;
    std::copy(page.header.positions.begin(), page.header.positions.end(),
              layer.positions.begin() + first_row);
    std::copy(page.header.information.begin(), page.header.information.end(),
              layer.information.begin() + first_row);
    RemovePage(l, layer.recall.ring()[slot]);
    layer.recall.Place(page.header.key.page, slot);
  }
}

void SequenceApplier::DropPages(int l) {
  LayerState& layer = state_.layers[l];
  for (const std::uint32_t page : plan_.layers[l].band.drop) {
    // A step since Begin may have called the page back, on all ranks alike.
    const auto& in_flight = layer.recall.in_flight();
    if (!std::binary_search(in_flight.begin(), in_flight.end(), page)) RemovePage(l, page);
  }
}

/// Nothing where it has left the band already, or the slot was never filled.
void SequenceApplier::RemovePage(int l, std::uint32_t page) {
  LayerState& layer = state_.layers[l];
  const auto info = layer.pages.find(page);
  if (info == layer.pages.end()) return;
  const auto ref = info->second.ref;
  if (ref.key.sequence == plan_.sequence && context_.OwnsPage(page)) dropped_[l].push_back(ref);
  layer.recall.Remove(page);
  layer.digests.Remove(page);
  layer.pages.erase(info);
}

void SequenceApplier::PublishPages(absl::Span<SealedPage> pages) {
  for (SealedPage& page : pages) {
    if (page.lease.memory().empty()) continue;
    ++context_.stats.pages_offloaded;
    context_.stats.bytes_offloaded += page.header.bytes;
    state_.has_published = true;
    requests_.headers.push_back(page.header);
    requests_.published.push_back(std::move(page.lease));
  }
}

absl::Status SequenceApplier::End() {
  state_.entropy_after.erase(state_.entropy_after.begin(),
                             state_.entropy_after.begin() + pending());
  state_.merged_length = plan_.length;
  state_.heads_apart |= state_.policy.per_head;
  agreed_.outcome->applied = true;
  if (!context_.options.census) return absl::OkStatus();
  return CheckSequence(context_.options.model, state_, agreed_.tables.destination);
}

}  // namespace pinboard
