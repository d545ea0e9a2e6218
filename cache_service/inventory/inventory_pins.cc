// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Who reads which page: the half of Inventory that a fetch goes through.
#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cache_service/inventory/inventory.h"

namespace pinboard::cache_service {
Inventory::PinResult Inventory::Pin(ClientId client, const PageRef& page) {
  Client& holder = clients_.at(client);
  return Pin(holder, catalog_.Find(holder.group, page), absl::ToUnixNanos(clock_.Now()));
}

void Inventory::Pin(ClientId client, absl::Span<const PageRef> pages,
                    absl::FunctionRef<void(std::size_t, const PinResult&)> pinned) {
  Pin(client, clients_.at(client).group, pages, pinned);
}

Inventory::PinResult Inventory::PinToCopy(ClientId client, GroupId group, const PageRef& page) {
  return Pin(clients_.at(client), catalog_.Find(group, page), std::nullopt);
}

void Inventory::Pin(ClientId client, GroupId group, absl::Span<const PageRef> pages,
                    absl::FunctionRef<void(std::size_t, const PinResult&)> pinned) {
  Client& holder = clients_.at(client);
  const std::int64_t now_ns = absl::ToUnixNanos(clock_.Now());
  std::array<const ExtentPage*, kSlabsTogether> places;
  for (std::size_t begin = 0; begin < pages.size(); begin += kSlabsTogether) {
    const auto part = pages.subspan(begin, kSlabsTogether);
    catalog_.Locate(group, part, absl::MakeSpan(places).subspan(0, part.size()));
    for (std::size_t i = 0; i < part.size(); ++i) {
      const Catalog::Lookup found = Catalog::Read(places[i], part[i].generation);
      if (found.miss == MissCause::kNone) PrefetchForPin(SlabOf(found.slab));
    }
    for (std::size_t i = 0; i < part.size(); ++i) {
      pinned(begin + i, Pin(holder, Catalog::Read(places[i], part[i].generation), now_ns));
    }
  }
}

Inventory::PinResult Inventory::Pin(Client& holder, const Catalog::Lookup& found,
                                    std::optional<std::int64_t> used_ns) {
  ++counts_.lookups_total;
  if (found.miss != MissCause::kNone) return {.miss = found.miss};
  const SlabAddress address = arena_.AddressOf(found.slab);
  Slab& slab = slabs_[address];
  if (slab.pins++ == 0) {
    MayNotLeave(address);
    if (slab.leaving) offered_bytes_ += arena_.SlabBytesOf(address.chunk);
  }
  if (used_ns.has_value()) {
    slab.last_used_ns = *used_ns;
    if (slab.leaving) StopLeaving(address);
    if (slab.spilled) ++counts_.spilled_fetches_total;
  }
  if (slab.holder == 0) Hold(holder, holder.pinned, found.slab);
  ++(slab.holder == holder.number ? slab.holder_pins : holder.also_pinned[found.slab]);
  ++counts_.pins;
  return {MissCause::kNone, {IdOf(found.slab, slab), arena_.Place(address)}, &slab.header};
}

absl::Status Inventory::Unpin(ClientId client, SlabId slab) {
  return Unpin(clients_.at(client), slab);
}

absl::Status Inventory::Unpin(ClientId client, absl::Span<const SlabId> slabs) {
  Client& holder = clients_.at(client);
  for (std::size_t begin = 0; begin < slabs.size(); begin += kSlabsTogether) {
    const auto part = slabs.subspan(begin, kSlabsTogether);
    for (const SlabId slab : part) {
      const SlabAddress address = arena_.AddressOf(IndexOf(slab));
      if (slabs_.Has(address)) __builtin_prefetch(&slabs_[address]);
    }
    for (const SlabId slab : part) PB_RETURN_IF_ERROR(Unpin(holder, slab));
  }
  return absl::OkStatus();
}

absl::Status Inventory::Unpin(Client& holder, SlabId id) {
  const SlabIndex index = IndexOf(id);
  const SlabAddress address = arena_.AddressOf(index);
  Slab* const slab = slabs_.Has(address) ? &slabs_[address] : nullptr;
  const bool pinned = slab != nullptr && slab->pins > 0 && IdOf(index, *slab) == id;
  if (pinned && slab->holder == holder.number) {
    if (--slab->holder_pins == 0) LetGo(holder.pinned, index);
  } else {
    const auto held = pinned ? holder.also_pinned.find(index) : holder.also_pinned.end();
    if (held == holder.also_pinned.end()) {
      return absl::InvalidArgumentError(absl::StrCat("slab ", id.value(), " is not pinned by you"));
    }
    if (--held->second == 0) holder.also_pinned.erase(held);
  }
  EndPin(index, 1);
  return absl::OkStatus();
}

void Inventory::EndPin(SlabIndex index, std::uint32_t pins) {
  Slab& slab = SlabOf(index);
  slab.pins -= pins;
  counts_.pins -= pins;
  if (slab.pins > 0) return;
  const SlabAddress address = arena_.AddressOf(index);
  if (slab.leaving) offered_bytes_ -= arena_.SlabBytesOf(address.chunk);
  if (slab.state == SlabState::kRetired) {
    Free(index);
  } else {
    MayLeave(index);
  }
}

}  // namespace pinboard::cache_service
