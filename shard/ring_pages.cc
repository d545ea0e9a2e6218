// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "shard/ring_pages.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/prefetch.h"
#include "base/status_macros.h"
#include "shard/block_tables.h"

namespace pinboard {

absl::StatusOr<PageIn> ShowPage(ShardContext& context, SequenceState& state,
                                const BlockTables& tables, const AgreedPage& agreed) {
  const ShardModel& model = context.options.model;
  LayerState& layer = state.layers[agreed.layer];
  const auto info = layer.pages.find(agreed.replacement.page);
  if (info == layer.pages.end()) {
    return absl::InternalError(absl::StrCat("page ", agreed.replacement.page, " of layer ",
                                            agreed.layer,
                                            " became visible after it left the band"));
  }
  const FetchedPage& page = agreed.fetched.page;
  const int first_row = agreed.replacement.ring_slot * kPageRows;
  std::copy(info->second.positions.begin(), info->second.positions.end(),
            layer.positions.begin() + first_row);
  std::copy(info->second.information.begin(), info->second.information.end(),
            layer.information.begin() + first_row);
  layer.log_sum_exps.DropFrom(0);  // the queries so far did not attend to it
  ++context.stats.pages_recalled;
  context.stats.bytes_recalled += page.size;
  context.stats.recall_lag_steps += state.steps - agreed.fetched.wanted_at;
  return PageIn{
      {model.cache[agreed.layer], model.kv, model.block_size, TableOf(tables, agreed.layer)},
      first_row,
      {info->second.ref.key, info->second.ref.generation},
      page.tag,
      {page.bytes.get(), page.size},
      page.bytes};
}

void PrefetchPage(const SequenceState& state, const AgreedPage& agreed) {
  const LayerState& layer = state.layers[agreed.layer];
  const auto info = layer.pages.find(agreed.replacement.page);
  if (info == layer.pages.end()) return;
  const int first_row = agreed.replacement.ring_slot * kPageRows;
  Prefetch(info->second);
  PrefetchBytes(&layer.positions[first_row], kPageRows * sizeof(std::int32_t));
  PrefetchBytes(&layer.information[first_row], kPageRows * sizeof(std::int32_t));
}

void SettlePages(ShardContext& context, PageFetcher& fetcher, std::uint64_t sequence,
                 SequenceState& state, int layer, absl::Span<const std::uint32_t> ready,
                 absl::Span<const std::uint32_t> missed, std::vector<AgreedPage>* agreed) {
  LayerState& of_layer = state.layers[layer];
  for (const auto& replacement : of_layer.recall.Resolve(ready, missed)) {
    agreed->push_back(
        {sequence, layer, replacement, fetcher.Take({sequence, layer, replacement.page})});
  }
  for (const std::uint32_t page : ready) fetcher.Take({sequence, layer, page});
  for (const std::uint32_t page : missed) {
    fetcher.Take({sequence, layer, page});
    const auto info = of_layer.pages.find(page);
    if (info->second.ref.key.sequence == sequence) context.store->Drop({&info->second.ref, 1});
    of_layer.digests.Remove(page);
    of_layer.pages.erase(info);
    ++context.stats.misses;
  }
}

void RequestPages(std::uint64_t sequence, SequenceState& state, int layer, std::uint64_t step,
                  int room, std::vector<PageFetcher::Request>* requests) {
  for (const std::uint32_t page : state.layers[layer].recall.Fetch(room)) {
    requests->push_back({{sequence, layer, page}, {}, step});
  }
}

void StartFetches(ShardContext& context, PageFetcher& fetcher,
                  std::vector<PageFetcher::Request>* requests) {
  if (requests->empty()) return;
  const auto pages_of = [&](const FetchTicket& ticket) -> const auto& {
    return context.sequences.at(ticket.sequence).layers[ticket.layer].pages;
  };
  constexpr std::size_t kAhead = 12;
  for (std::size_t i = 0; i < requests->size(); ++i) {
    if (i + kAhead < requests->size()) {
      const FetchTicket& soon = (*requests)[i + kAhead].ticket;
      pages_of(soon).prefetch(soon.page);
    }
    PageFetcher::Request& request = (*requests)[i];
    request.ref = pages_of(request.ticket).at(request.ticket.page).ref;
  }
  fetcher.Start(*requests, context.FetchDeadline());
  requests->clear();
}

PagesToScore LivePages(const ShardContext& context, const LayerState& layer,
                       absl::Span<const float> queries, absl::Span<std::int32_t> scores) {
  const ShardModel& model = context.options.model;
  const std::size_t width = static_cast<std::size_t>(model.query_heads) * model.kv.key_dim;
  return {{layer.digests.view(), model.kv, layer.digests.slots(), queries,
           static_cast<int>(queries.size() / width), model.query_heads, model.total_query_heads,
           model.attention_scale},
          scores};
}

}  // namespace pinboard
