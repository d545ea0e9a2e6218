// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/round_prepare.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/parallel.h"
#include "base/status_macros.h"
#include "kernels/compact/compact.h"
#include "kernels/page_transfer/page_transfer.h"
#include "shard/block_tables.h"
#include "shard/round_threads.h"

namespace pinboard {
namespace {

class Preparer {
 public:
  Preparer(ShardContext& context, RoundInProgress& round)
      : context_(context),
        model_(context.options.model),
        round_(round),
        page_bytes_(kernels::PageBytes(model_.kv)) {}

  absl::StatusOr<std::vector<PreparedSequence>> Run(std::span<const Shard::RoundEntry> entries) {
    PB_RETURN_IF_ERROR(MakeRoom());
    std::vector<PreparedSequence> sequences(entries.size());
    absl::Status made = Describe(entries, absl::MakeSpan(sequences));
    for (std::size_t i = 0; made.ok() && i < entries.size(); ++i) {
      made = Prepare(SequenceOf(entries, i), &sequences[i]);
    }
    // In any case: a device may be writing tags and pages to `sequences`.
    made.Update(context_.operations->Finish());
    if (!made.ok()) return made;
    return sequences;
  }

 private:
  /// What is prepared of a sequence.
  struct Sequence {
    const SequencePlan& plan;
    RoundTables tables;
    SequenceState& state;
  };
  Sequence SequenceOf(std::span<const Shard::RoundEntry> entries, std::size_t i) const {
    const SequencePlan& plan = round_.sequences[i];
    return {plan, TablesOfRound(entries[i]), context_.sequences.at(plan.sequence)};
  }

  bool IsObserved(const SequencePlan& plan) const {
    return context_.sequences.at(plan.sequence).observe;
  }

  /// For the pages that go to a ring, in one piece.
  absl::Status MakeRoom() {
    std::size_t pages = 0;
    for (const SequencePlan& plan : round_.sequences) {
      if (IsObserved(plan)) continue;
      for (const LayerPlan& layer : plan.layers) pages += layer.band.fill.size();
    }
    if (pages == 0) return absl::OkStatus();
    PB_ASSIGN_OR_RETURN(room_, context_.operations->memory()->Allocate(pages * page_bytes_));
    return absl::OkStatus();
  }
  std::shared_ptr<std::byte> TakeRoom() {
    return {room_, room_.get() + std::exchange(taken_, taken_ + page_bytes_)};
  }

  /// What each layer has to know by itself, on several threads.
  absl::Status Describe(std::span<const Shard::RoundEntry> entries,
                        absl::Span<PreparedSequence> prepared) const {
    struct Layer {
      std::size_t sequence;
      int index;
      absl::Status described;
    };
    std::vector<Layer> layers;
    std::size_t rows = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const SequencePlan& plan = round_.sequences[i];
      if (IsObserved(plan)) continue;
      prepared[i].resize(plan.layers.size());
      for (std::size_t l = 0; l < plan.layers.size(); ++l) {
        layers.push_back({i, static_cast<int>(l), {}});
        rows += plan.layers[l].rows;
      }
    }
    ForEachInParallel(layers.size(), ThreadsForRows(rows), [&](std::size_t i) {
      Layer& layer = layers[i];
      layer.described = Describe(SequenceOf(entries, layer.sequence), layer.index,
                                 &prepared[layer.sequence][layer.index]);
    });
    for (const Layer& layer : layers) PB_RETURN_IF_ERROR(layer.described);
    return absl::OkStatus();
  }

  /// A device gathers one sequence's pages while the host prepares the next.
  absl::Status Prepare(const Sequence& sequence, PreparedSequence* prepared) {
    out_.clear();
    digests_.clear();
    rows_.clear();
    slots_.clear();
    for (std::size_t l = 0; l < prepared->size(); ++l) {
      PreparedLayer& layer = (*prepared)[l];
      ClaimMemory(sequence.plan.layers[l].band, &layer);
      if (!layer.pages.empty()) {
        PB_RETURN_IF_ERROR(Seal(sequence, static_cast<int>(l), &layer));
      }
    }
    PB_RETURN_IF_ERROR(context_.operations->GatherPages(out_));
    return context_.operations->BuildDigests(digests_);
  }

  /// The headers of its new pages but for their tags, and its rows that move.
  absl::Status Describe(const Sequence& sequence, int l, PreparedLayer* layer) const {
    const LayerPlan& plan = sequence.plan.layers[l];
    layer->pages.resize(plan.band.publish.size());
    for (std::size_t i = 0; i < layer->pages.size(); ++i) {
      WriteHeader(sequence, l, static_cast<std::uint32_t>(i), &layer->pages[i].header);
    }
    const LayerState& now = sequence.state.layers[l];
    layer->moved.reserve(plan.kept_rows.size() + now.rows() - plan.rows);
    layer->moved = plan.kept_rows;
    for (int row = plan.rows; row < now.rows(); ++row) layer->moved.push_back(row);
    return kernels::CheckCompact({model_.cache[l], model_.kv, model_.block_size,
                                  TableOf(sequence.tables.source, l), layer->moved,
                                  std::max(plan.counts.ring_pages * kPageRows, now.ring_rows()),
                                  now.ring_rows(), TableOf(sequence.tables.destination, l)});
  }

  /// For the new pages, where it is needed.
  void ClaimMemory(const scheduler::BandPlan& band, PreparedLayer* layer) {
    for (SealedPage& page : layer->pages) {
      if (!context_.OwnsPage(page.header.key.page) || round_.leases.empty()) continue;
      page.lease = std::move(round_.leases.back());
      round_.leases.pop_back();
    }
    for (const int i : band.fill) layer->pages[i].own = TakeRoom();
  }

  void WriteHeader(const Sequence& sequence, int l, std::uint32_t index,
                   cache_service::PageHeader* header) const {
    const LayerPlan& plan = sequence.plan.layers[l];
    const LayerState& state = sequence.state.layers[l];
    const scheduler::NewPage& page = plan.band.publish[index];
    header->key = {sequence.plan.sequence, state.next_page + index, static_cast<std::uint16_t>(l),
                   static_cast<std::uint16_t>(context_.kv_shard())};
    header->generation = sequence.state.generation;
    header->bytes = static_cast<std::uint32_t>(page_bytes_);
    header->mean_information = static_cast<std::int32_t>(page.mean_information);
    for (int i = 0; i < kPageRows; ++i) {
      header->positions[i] = page.rows[i].position;
      header->information[i] = plan.InformationOf(state, page.rows[i].row);
    }
  }

  /// Of a layer's pages: they are to be gathered, to where they are offloaded and where the ring is
  /// filled from, and tagged, their digests made.
  absl::Status Seal(const Sequence& sequence, int l, PreparedLayer* layer) {
    const kernels::PageCopyArgs from{model_.cache[l], model_.kv, model_.block_size,
                                     TableOf(sequence.tables.source, l)};
    std::vector<std::int32_t>& rows = rows_.emplace_back();
    rows.reserve(layer->pages.size() * kPageRows);
    for (const scheduler::NewPage& page : sequence.plan.layers[l].band.publish) {
      for (const scheduler::BorderlineRow& row : page.rows) rows.push_back(row.row);
    }
    PB_ASSIGN_OR_RETURN(DigestTable::FreeSlots free,
                        sequence.state.layers[l].digests.Free(layer->pages.size()));
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
  RoundInProgress& round_;
  const std::size_t page_bytes_;
  std::shared_ptr<std::byte> room_;
  std::size_t taken_ = 0;  // of it
  // Of all layers of a sequence, for one call each; they read what the deques hold.
  std::deque<std::vector<std::int32_t>> rows_, slots_;
  std::vector<PageOut> out_;
  std::vector<DigestsToBuild> digests_;
};

}  // namespace

absl::StatusOr<std::vector<PreparedSequence>> PrepareRound(
    ShardContext& context, RoundInProgress& round, std::span<const Shard::RoundEntry> entries) {
  return Preparer(context, round).Run(entries);
}

}  // namespace pinboard
