// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which pages a service that ends has not named to others yet: a part of Inventory.
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

}  // namespace pinboard::cache_service
