// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/inspection.h"

#include <algorithm>

namespace pinboard::cache_service {
namespace {

InspectedExtent DescribeExtent(const ExtentAddress& address, absl::Span<const ExtentPage> places,
                               absl::FunctionRef<const Slab&(SlabIndex)> slab_of) {
  for (const ExtentPage& place : places) {
    if (place.gone != MissCause::kNone) continue;
    const Slab& slab = slab_of(place.slab);
    __builtin_prefetch(&slab.mean_information);
    __builtin_prefetch(&slab.header.bytes);
  }
  const PageKey first = FirstOfExtent(address.name);
  InspectedExtent told{.group = address.group.value(),
                       .sequence = address.sequence,
                       .shard = first.shard,
                       .first_layer = UINT16_MAX,
                       .first_page = UINT32_MAX,
                       .lowest_generation = UINT32_MAX};
  for (std::uint32_t i = 0; i < places.size(); ++i) {
    const ExtentPage& place = places[i];
    if (place.gone == MissCause::kUnknown) continue;
    const auto layer = static_cast<std::uint16_t>(first.layer + i % kExtentLayers);
    const std::uint32_t page = first.page + i / kExtentLayers;
    told.first_layer = std::min(told.first_layer, layer);
    told.last_layer = std::max(told.last_layer, layer);
    told.first_page = std::min(told.first_page, page);
    told.last_page = std::max(told.last_page, page);
    told.lowest_generation = std::min(told.lowest_generation, place.generation);
    told.highest_generation = std::max(told.highest_generation, place.generation);
    told.evicted += place.gone == MissCause::kEvicted ? 1 : 0;
    told.dropped += place.gone == MissCause::kDropped ? 1 : 0;
    if (place.gone != MissCause::kNone) continue;
    const Slab& slab = slab_of(place.slab);
    ++told.pages;
    told.bytes += slab.header.bytes;
    told.information += slab.mean_information;
  }
  return told;
}

}  // namespace

InspectReply InspectExtents(const Catalog& catalog, std::uint64_t cursor,
                            absl::FunctionRef<const Slab&(SlabIndex)> slab_of) {
  InspectReply reply;
  const ExtentNumbers& numbers = catalog.numbers();
  std::uint64_t looked_at = 0;
  for (; cursor < numbers.end(); ++cursor) {
    if (looked_at >= kInspectedTogether) {
      reply.next = cursor;
      break;
    }
    ++looked_at;
    const ExtentAddress* const address = numbers.Find(static_cast<std::uint32_t>(cursor));
    if (address == nullptr) continue;
    const absl::Span<const ExtentPage> places = catalog.PlacesOf(*address);
    looked_at += places.size();
    reply.extents.push_back(DescribeExtent(*address, places, slab_of));
  }
  return reply;
}

}  // namespace pinboard::cache_service
