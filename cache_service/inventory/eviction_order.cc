// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/eviction_order.h"

namespace pinboard::cache_service {

std::uint32_t EvictionOrder::Stripe::Search() const {
  std::uint32_t found = 0;
  std::int64_t lowest_value = kAbsent;
  for (std::uint32_t place = 0; place < kStripe; ++place) {
    if (values[place] > lowest_value) continue;
    const bool equal = values[place] == lowest_value;
    if (equal && (lowest_value == kAbsent || serials[found] < serials[place])) continue;
    found = place;
    lowest_value = values[place];
  }
  return found;
}

EvictionOrder::Entry EvictionOrder::LowestBeside(SlabAddress slab) {
  const Stripe& stripe = StripeOf(slab);
  return {stripe.RankOf(stripe.lowest),
          {slab.chunk, slab.slot / kStripe * kStripe + stripe.lowest}};
}

void EvictionOrder::Add(const Entry& entry, std::uint64_t slab_bytes, std::uint64_t slabs) {
  Chunk& chunk = chunks_[entry.slab.chunk.value()];
  if (chunk.pages++ == 0) {
    chunk.slab_bytes = slab_bytes;
    chunk.stripes.resize((slabs + kStripe - 1) / kStripe);
  }
  Insert(entry);
}

void EvictionOrder::Remove(SlabAddress slab) {
  Chunk& chunk = chunks_[slab.chunk.value()];
  Take(slab);
  if (--chunk.pages == 0) chunk = {};
}

void EvictionOrder::Insert(const Entry& entry) {
  Lowest& lowest = lowest_[chunks_[entry.slab.chunk.value()].slab_bytes];
  Stripe& stripe = StripeOf(entry.slab);
  const std::uint32_t place = entry.slab.slot % kStripe;
  stripe.values[place] = entry.rank.value;
  stripe.serials[place] = entry.rank.serial;
  if (stripe.pages++ > 0) {
    if (stripe.RankOf(stripe.lowest) < entry.rank) return;
    lowest.erase(LowestBeside(entry.slab));
  }
  stripe.lowest = place;
  lowest.insert(entry);
}

void EvictionOrder::Take(SlabAddress slab) {
  Stripe& stripe = StripeOf(slab);
  const std::uint32_t place = slab.slot % kStripe;
  const bool was_lowest = stripe.lowest == place;
  const auto lowest = lowest_.find(chunks_[slab.chunk.value()].slab_bytes);
  if (was_lowest) lowest->second.erase(LowestBeside(slab));
  stripe.values[place] = kAbsent;
  --stripe.pages;
  if (was_lowest && stripe.pages > 0) {
    stripe.lowest = stripe.Search();
    lowest->second.insert(LowestBeside(slab));
  }
  if (lowest->second.empty()) lowest_.erase(lowest);
}

std::optional<EvictionOrder::Entry> EvictionOrder::First(std::uint64_t slab_bytes, Judge judge) {
  while (true) {
    const auto lowest = lowest_.find(slab_bytes);
    if (lowest == lowest_.end()) return std::nullopt;
    const Entry entry = *lowest->second.begin();
    const std::optional<std::int64_t> value = judge(entry.slab);
    if (value == entry.rank.value) return entry;
    if (value.has_value()) {
      Take(entry.slab);
      Insert({{*value, entry.rank.serial}, entry.slab});
    } else {
      Remove(entry.slab);
    }
  }
}

std::optional<EvictionOrder::Entry> EvictionOrder::First(Judge judge) {
  std::optional<Entry> first;
  for (auto size = lowest_.begin(); size != lowest_.end();) {
    const std::uint64_t slab_bytes = size->first;
    const std::optional<Entry> candidate = First(slab_bytes, judge);
    if (candidate.has_value() && (!first.has_value() || *candidate < *first)) first = candidate;
    size = lowest_.upper_bound(slab_bytes);
  }
  return first;
}

}  // namespace pinboard::cache_service
