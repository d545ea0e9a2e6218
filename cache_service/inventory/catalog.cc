// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/catalog.h"

#include <algorithm>
#include <utility>

namespace pinboard::cache_service {
namespace {

/// Where the pages end that lie in the same extent as the one at `begin`, one after the other.
std::size_t EndOfExtent(absl::Span<const PageRef> pages, std::size_t begin) {
  const PageKey& first = pages[begin].key;
  std::size_t end = begin + 1;
  while (end < pages.size() && pages[end].key.sequence == first.sequence &&
         ExtentNameOf(pages[end].key) == ExtentNameOf(first)) {
    ++end;
  }
  return end;
}

}  // namespace

template <typename Groups>
auto Catalog::FindPage(Groups& groups, GroupId group, const PageKey& key)
    -> decltype(groups.begin()->second.begin()->second.begin()->second.Find(key)) {
  const auto in_groups = groups.find(group);
  if (in_groups == groups.end()) return nullptr;
  const auto in_group = in_groups->second.find(key.sequence);
  if (in_group == in_groups->second.end()) return nullptr;
  const auto extent = in_group->second.find(ExtentNameOf(key));
  if (extent == in_group->second.end()) return nullptr;
  return extent->second.Find(key);
}

Catalog::Lookup Catalog::Find(GroupId group, const PageRef& page) const {
  return Read(FindPage(groups_, group, page.key), page.generation);
}

Catalog::Lookup Catalog::Read(const ExtentPage* place, std::uint32_t generation) {
  if (place == nullptr || place->gone == MissCause::kUnknown) return {MissCause::kUnknown, {}};
  // A later generation than any seen is one whose publication has not arrived yet.
  if (place->generation < generation) return {MissCause::kUnknown, {}};
  if (place->generation > generation) return {MissCause::kGeneration, {}};
  return {place->gone, place->slab};
}

void Catalog::Locate(GroupId group, absl::Span<const PageRef> pages,
                     absl::Span<const ExtentPage*> places) const {
  std::fill(places.begin(), places.end(), nullptr);
  const auto in_groups = groups_.find(group);
  if (in_groups == groups_.end()) return;
  const PageKey* last = nullptr;
  const Sequence* sequence = nullptr;
  const auto sequence_of = [&](const PageKey& key) {
    if (last != nullptr && last->sequence == key.sequence) return sequence;
    last = &key;
    const auto found = in_groups->second.find(key.sequence);
    return sequence = found == in_groups->second.end() ? nullptr : &found->second;
  };
  for (std::size_t begin = 0; begin < pages.size(); begin = EndOfExtent(pages, begin)) {
    const PageKey& key = pages[begin].key;
    if (sequence_of(key) != nullptr) sequence->prefetch(ExtentNameOf(key));
  }
  for (std::size_t begin = 0, end = 0; begin < pages.size(); begin = end) {
    end = EndOfExtent(pages, begin);
    const PageKey& key = pages[begin].key;
    if (sequence_of(key) == nullptr) continue;
    const auto extent = sequence->find(ExtentNameOf(key));
    if (extent == sequence->end()) continue;
    for (std::size_t i = begin; i < end; ++i) {
      places[i] = extent->second.Find(pages[i].key);
      __builtin_prefetch(places[i]);
    }
  }
}

Extent& Catalog::MakeExtent(GroupId group, const PageKey& key) {
  const ExtentName name = ExtentNameOf(key);
  if (last_.extent != nullptr && last_.name == name && last_.sequence == key.sequence &&
      last_.group == group) {
    return *last_.extent;
  }
  const auto [in_groups, is_new_group] = groups_.try_emplace(group);
  if (is_new_group) ++group_changes_;
  const auto [extent, is_new] = in_groups->second[key.sequence].try_emplace(name);
  if (is_new) {
    ++extents_;
    extent->second.SetNumber(numbers_.Give({group, key.sequence, name}));
  }
  last_ = {group, key.sequence, name, &extent->second};
  return extent->second;
}

bool Catalog::NeedsExtent(GroupId group, const PageKey& key) const {
  const auto in_groups = groups_.find(group);
  if (in_groups == groups_.end()) return true;
  const auto in_group = in_groups->second.find(key.sequence);
  return in_group == in_groups->second.end() || !in_group->second.contains(ExtentNameOf(key));
}

std::optional<SlabIndex> Catalog::Remove(GroupId group, const PageRef& page, MissCause cause) {
  ExtentPage* found = FindPage(groups_, group, page.key);
  if (found == nullptr || found->gone == MissCause::kUnknown) return std::nullopt;
  if (found->generation > page.generation) return std::nullopt;
  const ExtentPage was = std::exchange(*found, {{}, page.generation, cause});
  if (was.gone != MissCause::kNone) return std::nullopt;
  --pages_;
  return was.slab;
}

void Catalog::Forget(const Extent& extent, std::vector<SlabIndex>& slabs) {
  last_ = {};
  --extents_;
  numbers_.TakeBack(extent.number());
  for (const ExtentPage& page : extent.pages()) {
    if (page.gone != MissCause::kNone) continue;
    slabs.push_back(page.slab);
    --pages_;
  }
}

std::vector<SlabIndex> Catalog::DropSequence(GroupId group, std::uint64_t sequence) {
  std::vector<SlabIndex> slabs;
  const auto in_groups = groups_.find(group);
  if (in_groups == groups_.end()) return slabs;
  const auto found = in_groups->second.find(sequence);
  if (found == in_groups->second.end()) return slabs;
  for (const auto& [name, extent] : found->second) Forget(extent, slabs);
  in_groups->second.erase(found);
  if (in_groups->second.empty()) {
    groups_.erase(in_groups);
    ++group_changes_;
  }
  return slabs;
}

std::vector<SlabIndex> Catalog::DropGroup(GroupId group, std::size_t places) {
  std::vector<SlabIndex> slabs;
  const auto found = groups_.find(group);
  if (found == groups_.end()) return slabs;
  Group& sequences = found->second;
  std::size_t seen = 0;
  for (auto sequence = sequences.begin(); sequence != sequences.end() && seen < places;) {
    Sequence& extents = sequence->second;
    for (auto extent = extents.begin(); extent != extents.end() && seen < places;) {
      seen += 1 + extent->second.pages().size();
      Forget(extent->second, slabs);
      extents.erase(extent++);
    }
    if (extents.empty()) sequences.erase(sequence++);
  }
  if (sequences.empty()) {
    groups_.erase(found);
    ++group_changes_;
  }
  return slabs;
}

absl::Span<const ExtentPage> Catalog::PlacesOf(const ExtentAddress& extent) const {
  return groups_.at(extent.group).at(extent.sequence).at(extent.name).pages();
}

std::vector<GroupId> Catalog::groups() const {
  std::vector<GroupId> groups;
  groups.reserve(groups_.size());
  for (const auto& [group, sequences] : groups_) groups.push_back(group);
  return groups;
}

}  // namespace pinboard::cache_service
