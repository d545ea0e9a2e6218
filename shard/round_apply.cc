// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_apply.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/compact/compact.h"
#include "kernels/page_transfer/page_transfer.h"
#include "shard/census.h"

namespace pinboard {
namespace {

/// A new page in hand: gathered once, into the service's memory where this rank offloads it.
struct SealedPage {
  cache_service::PageHeader header;
  cache_service::PageLease lease;    // empty: this rank does not offload the page
  std::vector<std::byte> own_bytes;  // where there is no lease
  absl::Span<const std::byte> bytes() const {
    return own_bytes.empty() ? absl::Span<const std::byte>(lease.memory()) : own_bytes;
  }
};

class Applier {
 public:
  Applier(ShardContext& context, SequencePlan& plan, absl::Span<const std::int32_t> block_table,
          absl::Span<const std::int32_t> destination_table)
      : context_(context),
        plan_(plan),
        block_table_(block_table),
        destination_table_(destination_table.empty() ? block_table : destination_table),
        state_(context.sequences.at(plan.sequence)),
        ring_rows_(plan.counts.ring_pages * kPageRows) {}

  absl::Status Run(RoundOutcome* outcome) {
    for (std::size_t l = 0; l < plan_.layers.size(); ++l) {
      PB_RETURN_IF_ERROR(ApplyLayer(static_cast<int>(l)));
      const LayerPlan& layer = plan_.layers[l];
      outcome->kept += static_cast<std::int64_t>(layer.kept_rows.size());
      outcome->borderline += static_cast<std::int64_t>(layer.band.publish.size()) * kPageRows;
      outcome->dropped += layer.dropped;
    }
    if (!headers_.empty()) {
      context_.store->Publish(std::move(published_), headers_);
      state_.has_published = true;
    }
    const int pending = plan_.length - state_.merged_length;
    state_.entropy_after.erase(state_.entropy_after.begin(),
                               state_.entropy_after.begin() + pending);
    state_.merged_length = plan_.length;
    state_.ring_rows = ring_rows_;
    state_.rows = static_cast<int>(state_.layers.front().positions.size());
    outcome->applied = true;
    if (context_.options.census) {
      PB_RETURN_IF_ERROR(CheckSequence(context_.options.model, state_, destination_table_));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ApplyLayer(int l) {
    LayerState& layer = state_.layers[l];
    LayerPlan& plan = plan_.layers[l];
    layer.recall.GrowRing(plan_.counts.ring_pages);
    std::vector<SealedPage> sealed;
    for (const auto& page : plan.band.publish) {
      PB_ASSIGN_OR_RETURN(auto one, Seal(l, page));
      sealed.push_back(std::move(one));
    }
    std::vector<std::int32_t> moved = plan.kept_rows;
    for (int row = plan_.rows; row < state_.rows; ++row) moved.push_back(row);
    PB_RETURN_IF_ERROR(Move(l, moved));
    PB_RETURN_IF_ERROR(FillRing(l, sealed));
    layer.totals = plan.totals;
    layer.pending_shift.erase(layer.pending_shift.begin(),
                              layer.pending_shift.begin() + (plan_.length - state_.merged_length));
    DropPages(l);
    for (SealedPage& page : sealed) {
      if (page.lease.memory().empty()) continue;
      ++context_.stats.pages_offloaded;
      context_.stats.bytes_offloaded += page.header.bytes;
      headers_.push_back(page.header);
      published_.push_back(std::move(page.lease));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<SealedPage> Seal(int l, const scheduler::NewPage& page) {
    LayerState& layer = state_.layers[l];
    const ShardModel& model = context_.options.model;
    SealedPage sealed;
    auto& header = sealed.header;
    header.key = {plan_.sequence, layer.next_page++, static_cast<std::uint16_t>(l),
                  static_cast<std::uint16_t>(context_.kv_shard())};
    header.generation = state_.generation;
    header.bytes = static_cast<std::uint32_t>(kernels::PageBytes(model.kv));
    header.mean_information = static_cast<std::int32_t>(page.mean_information);
    std::array<std::int32_t, kPageRows> rows{};
    for (int i = 0; i < kPageRows; ++i) {
      rows[i] = page.rows[i].row;
      header.positions[i] = page.rows[i].position;
      header.information[i] = plan_.layers[l].information[rows[i]];
    }
    if (context_.OwnsPage(header.key.page) && !plan_.leases.empty()) {
      sealed.lease = std::move(plan_.leases.back());
      plan_.leases.pop_back();
    } else {
      sealed.own_bytes.resize(header.bytes);
    }
    const absl::Span<std::byte> target =
        sealed.own_bytes.empty() ? sealed.lease.memory() : absl::MakeSpan(sealed.own_bytes);
    PB_ASSIGN_OR_RETURN(
        header.tag, kernels::PageGather({model.cache[l], model.kv, model.block_size, block_table_},
                                        rows, {header.key, header.generation}, target));
    PB_RETURN_IF_ERROR(layer.digests.Add(model.kv, header.key.page, sealed.bytes()));
    layer.pages[header.key.page] = {{header.key, header.generation},
                                    page.mean_information,
                                    header.positions,
                                    header.information};
    layer.recall.Add(header.key.page);
    return sealed;
  }

  /// Compacts the cache and the row tables alike.
  absl::Status Move(int l, absl::Span<const std::int32_t> moved) {
    const ShardModel& model = context_.options.model;
    LayerState& layer = state_.layers[l];
    std::vector<std::uint64_t> before;
    if (context_.options.census) before = HashRows(model, l, block_table_, moved);
    PB_RETURN_IF_ERROR(kernels::Compact({model.cache[l], model.kv, model.block_size, block_table_,
                                         moved, ring_rows_, state_.ring_rows, destination_table_}));
    if (context_.options.census) PB_RETURN_IF_ERROR(CheckMoved(l, before));

    std::vector<std::int32_t> positions(ring_rows_);
    std::vector<std::int32_t> information(ring_rows_);
    std::copy_n(layer.positions.begin(), state_.ring_rows, positions.begin());
    std::copy_n(layer.information.begin(), state_.ring_rows, information.begin());
    const std::vector<std::int32_t>& merged = plan_.layers[l].information;
    for (const std::int32_t row : moved) {
      positions.push_back(layer.positions[row]);
      information.push_back(row < plan_.rows ? merged[row] : 0);
    }
    layer.positions = std::move(positions);
    layer.information = std::move(information);
    return absl::OkStatus();
  }

  absl::Status CheckMoved(int l, absl::Span<const std::uint64_t> before) const {
    std::vector<std::int32_t> targets(before.size());
    std::iota(targets.begin(), targets.end(), ring_rows_);
    const auto after = HashRows(context_.options.model, l, destination_table_, targets);
    const auto differs = std::mismatch(after.begin(), after.end(), before.begin()).first;
    if (differs == after.end()) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("census: layer ", l, " row ",
                                            ring_rows_ + (differs - after.begin()),
                                            " does not hold the bytes that were kept"));
  }

  absl::Status FillRing(int l, absl::Span<const SealedPage> sealed) {
    const ShardModel& model = context_.options.model;
    LayerState& layer = state_.layers[l];
    const LayerPlan& plan = plan_.layers[l];
    for (std::size_t i = 0; i < plan.ring_slots.size(); ++i) {
      const SealedPage& page = sealed[plan.band.fill[i]];
      const int slot = plan.ring_slots[i];
      const int first_row = slot * kPageRows;
      PB_RETURN_IF_ERROR(kernels::PageScatter(
          {model.cache[l], model.kv, model.block_size, destination_table_}, first_row,
          {page.header.key, page.header.generation}, page.header.tag, page.bytes()));
      std::copy(page.header.positions.begin(), page.header.positions.end(),
                layer.positions.begin() + first_row);
      std::copy(page.header.information.begin(), page.header.information.end(),
                layer.information.begin() + first_row);
      RemovePage(layer, layer.recall.ring()[slot]);
      layer.recall.Place(page.header.key.page, slot);
    }
    return absl::OkStatus();
  }

  void DropPages(int l) {
    LayerState& layer = state_.layers[l];
    for (const std::uint32_t page : plan_.layers[l].band.drop) {
      // A step since Begin may have called the page back, on all ranks alike.
      const auto& in_flight = layer.recall.in_flight();
      if (!std::binary_search(in_flight.begin(), in_flight.end(), page)) RemovePage(layer, page);
    }
  }

  /// Nothing where it has left the band already, or the slot was never filled.
  void RemovePage(LayerState& layer, std::uint32_t page) {
    const auto info = layer.pages.find(page);
    if (info == layer.pages.end()) return;
    const auto ref = info->second.ref;
    if (ref.key.sequence == plan_.sequence && context_.OwnsPage(page)) {
      context_.store->Drop({&ref, 1});
    }
    layer.recall.Remove(page);
    layer.digests.Remove(page);
    layer.pages.erase(info);
  }

  ShardContext& context_;
  SequencePlan& plan_;
  absl::Span<const std::int32_t> block_table_;        // of the rows as they are
  absl::Span<const std::int32_t> destination_table_;  // of the rows that stay
  SequenceState& state_;
  const int ring_rows_;
  std::vector<cache_service::PageHeader> headers_;
  std::vector<cache_service::PageLease> published_;
};

}  // namespace

absl::Status ApplyRound(ShardContext& context, SequencePlan& plan,
                        absl::Span<const std::int32_t> block_table,
                        absl::Span<const std::int32_t> destination_table, RoundOutcome* outcome) {
  return Applier(context, plan, block_table, destination_table).Run(outcome);
}

}  // namespace pinboard
