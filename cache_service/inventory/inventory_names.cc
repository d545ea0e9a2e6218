// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Pages as they are named to other members: a part of Inventory.
#include "cache_service/inventory/inventory.h"

namespace pinboard::cache_service {

void Inventory::ForEachUnnamed(std::uint32_t chunk,
                               absl::FunctionRef<void(SlabId, std::int64_t value)> see) const {
  for (SlabAddress address{ChunkIndex(chunk), 0}; slabs_.Has(address); ++address.slot) {
    const Slab& slab = slabs_[address];
    if (slab.state != SlabState::kPublished || slab.named) continue;
    see(IdOf(arena_.IndexOf(address), slab), policy_->Value(slab.candidate()));
  }
}

std::optional<NamedPage> Inventory::Name(SlabId id) {
  const SlabAddress address = arena_.AddressOf(IndexOf(id));
  if (!slabs_.Has(address)) return std::nullopt;
  Slab& slab = slabs_[address];
  if (slab.state != SlabState::kPublished || IdOf(IndexOf(id), slab) != id) return std::nullopt;
  slab.named = true;
  return NamedPage{slab.group, {slab.header.key, slab.header.generation}};
}

std::optional<SlabAddress> Inventory::VisitPages(
    SlabAddress from, std::uint32_t most,
    absl::FunctionRef<bool(const NamedPage&, const PageOrigin&)> becomes_own) {
  for (; most > 0 && from.chunk.value() < arena_.chunks(); --most) {
    if (!slabs_.Has(from)) {
      from = {ChunkIndex(from.chunk.value() + 1), 0};
      continue;
    }
    Slab& slab = slabs_[from];
    ++from.slot;
    if (slab.state != SlabState::kPublished) continue;
    const NamedPage page{slab.group, {slab.header.key, slab.header.generation}};
    if (becomes_own(page, {slab.source, slab.spilled})) slab.source = 0;
  }
  if (from.chunk.value() == arena_.chunks()) return std::nullopt;
  return from;
}

}  // namespace pinboard::cache_service
