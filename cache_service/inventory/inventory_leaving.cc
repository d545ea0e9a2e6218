// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which pages leave next, before they do: a part of Inventory.
#include "cache_service/inventory/inventory.h"

namespace pinboard::cache_service {

std::vector<NamedPage> Inventory::NameLeaving(std::size_t most) {
  const auto judge = [this](SlabAddress address) -> std::optional<std::int64_t> {
    Slab& slab = slabs_[address];
    slab.staying = slab.pins == 0;
    if (!slab.staying) return std::nullopt;
    return policy_->Value(slab.candidate());
  };
  std::vector<NamedPage> own;
  for (; most > 0 && arena_.used_bytes() > LowBytes() + leaving_bytes_; --most) {
    const std::optional<EvictionOrder::Entry> first = staying_->First(judge);
    if (!first.has_value()) break;
    staying_->Remove(first->slab);
    Slab& slab = slabs_[first->slab];
    slab.staying = false;
    slab.leaving = true;
    leaving_bytes_ += arena_.SlabBytesOf(first->slab.chunk);
    if (slab.source == 0) {
      own.push_back({slab.group, {slab.header.key, slab.header.generation}});
    }
  }
  return own;
}

void Inventory::MayStay(SlabAddress address) {
  Slab& slab = slabs_[address];
  if (slab.staying || slab.leaving) return;
  slab.staying = true;
  staying_->Add({{policy_->Value(slab.candidate()), slab.serial}, address},
                arena_.SlabBytesOf(address.chunk), slabs_.SlabsOf(address.chunk));
}

void Inventory::StopLeaving(SlabAddress address) {
  Slab& slab = slabs_[address];
  const std::uint64_t bytes = arena_.SlabBytesOf(address.chunk);
  slab.leaving = false;
  leaving_bytes_ -= bytes;
  if (slab.pins > 0) offered_bytes_ -= bytes;
}

void Inventory::ForgetLeaving(SlabAddress address) {
  Slab& slab = slabs_[address];
  if (slab.staying) staying_->Remove(address);
  slab.staying = false;
  if (slab.leaving) StopLeaving(address);
}

}  // namespace pinboard::cache_service
