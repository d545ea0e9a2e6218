// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_prepare.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/status_macros.h"
#include "kernels/compact/compact.h"
#include "kernels/page_transfer/page_transfer.h"
#include "shard/block_tables.h"

namespace pinboard {
namespace {

class Preparer {
 public:
  Preparer(const ShardContext& context, SequencePlan& plan, const BlockTables& tables)
      : context_(context),
        model_(context.options.model),
        plan_(plan),
        tables_(tables),
        state_(context.sequences.at(plan.sequence)) {}

  absl::StatusOr<PreparedLayer> Layer(int l) {
    const LayerPlan& plan = plan_.layers[l];
    PreparedLayer layer;
    for (std::size_t i = 0; i < plan.band.publish.size(); ++i) {
      PB_ASSIGN_OR_RETURN(SealedPage page, Seal(l, static_cast<std::uint32_t>(i)));
      layer.pages.push_back(std::move(page));
    }
    layer.moved = plan.kept_rows;
    const LayerState& now = state_.layers[l];
    for (int row = plan.rows; row < now.rows(); ++row) layer.moved.push_back(row);
    PB_RETURN_IF_ERROR(kernels::CheckCompact(
        {model_.cache[l], model_.kv, model_.block_size, TableOf(tables_, l), layer.moved,
         std::max(plan.counts.ring_pages * kPageRows, now.ring_rows()), now.ring_rows()}));
    return layer;
  }

 private:
  absl::StatusOr<SealedPage> Seal(int l, std::uint32_t index) {
    const LayerPlan& plan = plan_.layers[l];
    const scheduler::NewPage& page = plan.band.publish[index];
    SealedPage sealed;
    auto& header = sealed.header;
    header.key = {plan_.sequence, state_.layers[l].next_page + index, static_cast<std::uint16_t>(l),
                  static_cast<std::uint16_t>(context_.kv_shard())};
    header.generation = state_.generation;
    header.bytes = static_cast<std::uint32_t>(kernels::PageBytes(model_.kv));
    header.mean_information = static_cast<std::int32_t>(page.mean_information);
    std::array<std::int32_t, kPageRows> rows{};
    for (int i = 0; i < kPageRows; ++i) {
      rows[i] = page.rows[i].row;
      header.positions[i] = page.rows[i].position;
      header.information[i] = plan.information[rows[i]];
    }
    std::vector<std::byte> bytes(header.bytes);
    PB_ASSIGN_OR_RETURN(
        header.tag,
        kernels::PageGather({model_.cache[l], model_.kv, model_.block_size, TableOf(tables_, l)},
                            rows, {header.key, header.generation}, absl::MakeSpan(bytes)));
    PB_ASSIGN_OR_RETURN(sealed.digest, MakeDigest(model_.kv, bytes));
    if (context_.OwnsPage(header.key.page) && !plan_.leases.empty()) {
      sealed.lease = std::move(plan_.leases.back());
      plan_.leases.pop_back();
      std::copy(bytes.begin(), bytes.end(), sealed.lease.memory().begin());
    }
    const auto& fill = plan.band.fill;
    if (std::find(fill.begin(), fill.end(), static_cast<int>(index)) != fill.end()) {
      sealed.bytes = std::move(bytes);
    }
    return sealed;
  }

  const ShardContext& context_;
  const ShardModel& model_;
  SequencePlan& plan_;
  const BlockTables& tables_;
  const SequenceState& state_;
};

}  // namespace

absl::StatusOr<PreparedSequence> PrepareSequence(const ShardContext& context, SequencePlan& plan,
                                                 const BlockTables& tables) {
  Preparer preparer(context, plan, tables);
  PreparedSequence layers;
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    PB_ASSIGN_OR_RETURN(PreparedLayer layer, preparer.Layer(static_cast<int>(l)));
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace pinboard
