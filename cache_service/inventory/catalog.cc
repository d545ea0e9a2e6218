// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/catalog.h"

namespace pinboard::cache_service {

const Catalog::Entry* Catalog::FindEntry(GroupId group, const PageKey& key) const {
  const auto in_groups = groups_.find(group);
  if (in_groups == groups_.end()) return nullptr;
  const auto in_group = in_groups->second.find(key.sequence);
  if (in_group == in_groups->second.end()) return nullptr;
  const auto entry = in_group->second.find(NameInSequence(key));
  return entry == in_group->second.end() ? nullptr : &entry->second;
}

Catalog::Lookup Catalog::Find(GroupId group, const PageRef& page) const {
  const Entry* entry = FindEntry(group, page.key);
  // A later generation than any seen is one whose publication has not arrived yet.
  if (entry == nullptr || entry->generation < page.generation) return {MissCause::kUnknown, {}};
  if (entry->generation > page.generation) return {MissCause::kGeneration, {}};
  return {entry->gone, entry->slab};
}

Catalog::InsertResult Catalog::Insert(GroupId group, const PageRef& page, SlabIndex slab) {
  Sequence& sequence = groups_[group][page.key.sequence];
  const auto [found, is_new] = sequence.try_emplace(NameInSequence(page.key));
  Entry& entry = found->second;
  InsertResult result{.inserted = true};
  if (!is_new) {
    const bool may_return = entry.gone == MissCause::kEvicted;
    if (page.generation < entry.generation ||
        (page.generation == entry.generation && !may_return)) {
      return {.inserted = false};
    }
    if (entry.gone == MissCause::kNone) {
      result.replaced = entry.slab;
      --pages_;
    }
  }
  entry = {page.generation, MissCause::kNone, slab};
  ++pages_;
  return result;
}

std::optional<SlabIndex> Catalog::Remove(GroupId group, const PageRef& page, MissCause cause) {
  const Entry* found = FindEntry(group, page.key);
  if (found == nullptr || found->generation > page.generation) return std::nullopt;
  Entry& entry = groups_[group][page.key.sequence][NameInSequence(page.key)];
  const bool was_here = entry.gone == MissCause::kNone;
  const SlabIndex slab = entry.slab;
  entry = {page.generation, cause, {}};
  if (!was_here) return std::nullopt;
  --pages_;
  return slab;
}

void Catalog::Collect(const Sequence& sequence, std::vector<SlabIndex>& slabs) {
  for (const auto& [name, entry] : sequence) {
    if (entry.gone != MissCause::kNone) continue;
    slabs.push_back(entry.slab);
    --pages_;
  }
}

std::vector<SlabIndex> Catalog::DropSequence(GroupId group, std::uint64_t sequence) {
  std::vector<SlabIndex> slabs;
  const auto in_groups = groups_.find(group);
  if (in_groups == groups_.end()) return slabs;
  const auto found = in_groups->second.find(sequence);
  if (found == in_groups->second.end()) return slabs;
  Collect(found->second, slabs);
  in_groups->second.erase(found);
  if (in_groups->second.empty()) groups_.erase(in_groups);
  return slabs;
}

std::vector<SlabIndex> Catalog::DropGroup(GroupId group) {
  std::vector<SlabIndex> slabs;
  const auto found = groups_.find(group);
  if (found == groups_.end()) return slabs;
  for (const auto& [id, sequence] : found->second) Collect(sequence, slabs);
  groups_.erase(found);
  return slabs;
}

}  // namespace pinboard::cache_service
