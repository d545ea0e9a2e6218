// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_prepare.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/status_macros.h"
#include "kernels/compact/compact.h"
#include "kernels/page_transfer/page_transfer.h"

namespace pinboard {
namespace {

class Preparer {
 public:
  Preparer(ShardContext& context, SequencePlan& plan, const RoundTables& tables)
      : context_(context),
        model_(context.options.model),
        plan_(plan),
        tables_(tables),
        state_(context.sequences.at(plan.sequence)),
        page_bytes_(kernels::PageBytes(model_.kv)) {}

  absl::StatusOr<PreparedSequence> Run() {
    PB_RETURN_IF_ERROR(MakeRoom());
    PreparedSequence layers(plan_.layers.size());
    for (std::size_t l = 0; l < layers.size(); ++l) {
      PB_RETURN_IF_ERROR(Layer(static_cast<int>(l), &layers[l]));
    }
    absl::Status made = context_.operations->GatherPages(out_);
    if (made.ok()) made = context_.operations->BuildDigests(digests_);
    made.Update(context_.operations->Finish());  // in any case: tags go to `layers`
    if (!made.ok()) return made;
    return layers;
  }

 private:
  /// For the pages that go to the ring, in one piece.
  absl::Status MakeRoom() {
    std::size_t pages = 0;
    for (const LayerPlan& layer : plan_.layers) pages += layer.band.fill.size();
    if (pages == 0) return absl::OkStatus();
    PB_ASSIGN_OR_RETURN(room_, context_.operations->memory()->Allocate(pages * page_bytes_));
    return absl::OkStatus();
  }
  std::shared_ptr<std::byte> TakeRoom() {
    return {room_, room_.get() + std::exchange(taken_, taken_ + page_bytes_)};
  }

  absl::Status Layer(int l, PreparedLayer* layer) {
    const LayerPlan& plan = plan_.layers[l];
    for (std::size_t i = 0; i < plan.band.publish.size(); ++i) {
      layer->pages.push_back(Claim(l, static_cast<std::uint32_t>(i)));
    }
    if (!layer->pages.empty()) PB_RETURN_IF_ERROR(Seal(l, layer));
    const LayerState& now = state_.layers[l];
    layer->moved.reserve(plan.kept_rows.size() + now.rows() - plan.rows);
    layer->moved = plan.kept_rows;
    for (int row = plan.rows; row < now.rows(); ++row) layer->moved.push_back(row);
    return kernels::CheckCompact({model_.cache[l], model_.kv, model_.block_size,
                                  TableOf(tables_.source, l), layer->moved,
                                  std::max(plan.counts.ring_pages * kPageRows, now.ring_rows()),
                                  now.ring_rows(), TableOf(tables_.destination, l)});
  }

  /// The page's header but for its tag, and memory where it is needed.
  SealedPage Claim(int l, std::uint32_t index) {
    const LayerPlan& plan = plan_.layers[l];
    const scheduler::NewPage& page = plan.band.publish[index];
    SealedPage sealed;
    auto& header = sealed.header;
    header.key = {plan_.sequence, state_.layers[l].next_page + index, static_cast<std::uint16_t>(l),
                  static_cast<std::uint16_t>(context_.kv_shard())};
    header.generation = state_.generation;
    header.bytes = static_cast<std::uint32_t>(kernels::PageBytes(model_.kv));
    header.mean_information = static_cast<std::int32_t>(page.mean_information);
    for (int i = 0; i < kPageRows; ++i) {
      header.positions[i] = page.rows[i].position;
      header.information[i] = plan.InformationOf(state_.layers[l], page.rows[i].row);
    }
    if (context_.OwnsPage(header.key.page) && !plan_.leases.empty()) {
      sealed.lease = std::move(plan_.leases.back());
      plan_.leases.pop_back();
    }
    const auto& fill = plan.band.fill;
    if (std::find(fill.begin(), fill.end(), static_cast<int>(index)) != fill.end()) {
      sealed.own = TakeRoom();
    }
    return sealed;
  }

  /// Of a layer's pages: they are to be gathered, to where they are offloaded and where the ring is
  /// filled from, and tagged, their digests made.
  absl::Status Seal(int l, PreparedLayer* layer) {
    const kernels::PageCopyArgs from{model_.cache[l], model_.kv, model_.block_size,
                                     TableOf(tables_.source, l)};
    std::vector<std::int32_t>& rows = rows_.emplace_back();
    for (const scheduler::NewPage& page : plan_.layers[l].band.publish) {
      for (const scheduler::BorderlineRow& row : page.rows) rows.push_back(row.row);
    }
    PB_ASSIGN_OR_RETURN(DigestTable::FreeSlots free,
                        state_.layers[l].digests.Free(layer->pages.size()));
    for (std::size_t i = 0; i < layer->pages.size(); ++i) {
      SealedPage& page = layer->pages[i];
      page.digest_slot = free.slots[i];
      for (const absl::Span<std::byte> bytes :
           {page.lease.memory(),
            absl::Span<std::byte>(page.own.get(), page.own == nullptr ? 0 : page_bytes_)}) {
        if (bytes.empty()) continue;
        out_.push_back({from,
                        absl::MakeConstSpan(rows).subspan(i * kPageRows, kPageRows),
                        {page.header.key, page.header.generation},
                        bytes,
                        &page.header.tag});
      }
    }
    const DigestArrays arrays = free.arrays;
    digests_.push_back({from, rows, slots_.emplace_back(std::move(free.slots)), arrays});
    return absl::OkStatus();
  }

  ShardContext& context_;
  const ShardModel& model_;
  SequencePlan& plan_;
  const RoundTables tables_;
  SequenceState& state_;
  const std::size_t page_bytes_;
  std::shared_ptr<std::byte> room_;
  std::size_t taken_ = 0;  // of it
  // Of all layers, for one call each; they read what the deques hold.
  std::deque<std::vector<std::int32_t>> rows_, slots_;
  std::vector<PageOut> out_;
  std::vector<DigestsToBuild> digests_;
};

}  // namespace

absl::StatusOr<PreparedSequence> PrepareSequence(ShardContext& context, SequencePlan& plan,
                                                 const RoundTables& tables) {
  return Preparer(context, plan, tables).Run();
}

}  // namespace pinboard
