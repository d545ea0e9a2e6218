// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Which page is where: from a page's name to its slab, or to why it is gone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "cache_service/inventory/arena.h"
#include "cache_service/inventory/extent.h"
#include "cache_service/inventory/extent_numbers.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// Pages by group, sequence and extent, one generation of each at a time; constant cost per page. A
/// page that left stays as its place in its extent until its sequence is dropped, so that a fetch
/// of it is told apart from one that came before its publication. Thread-compatible.
class Catalog {
 public:
  struct Lookup {
    MissCause miss = MissCause::kUnknown;
    SlabIndex slab;  // where miss is kNone
  };
  Lookup Find(GroupId group, const PageRef& page) const;

  /// The places of many pages, null where nothing is known of one, each on its way into the cache.
  /// Valid until a page comes or leaves. Requires as many `places` as pages.
  void Locate(GroupId group, absl::Span<const PageRef> pages,
              absl::Span<const ExtentPage*> places) const;
  /// What Find says of the page whose place this is.
  static Lookup Read(const ExtentPage* place, std::uint32_t generation);

  /// Makes `slab` the page, unless this generation or a later one is or was there already (an
  /// evicted generation may come back). Where an earlier one was there, its slab is in `replaced`.
  struct InsertResult {
    bool inserted = false;
    std::optional<SlabIndex> replaced;
  };
  InsertResult Insert(GroupId group, const PageRef& page, SlabIndex slab) {
    ExtentPage& known = MakeExtent(group, page.key).At(page.key);
    InsertResult result{.inserted = true};
    if (known.gone != MissCause::kUnknown) {
      const bool may_return = known.gone == MissCause::kEvicted;
      if (page.generation < known.generation ||
          (page.generation == known.generation && !may_return)) {
        return {.inserted = false};
      }
      if (known.gone == MissCause::kNone) {
        result.replaced = known.slab;
        --pages_;
      }
    }
    known.slab = slab;
    known.generation = page.generation;
    known.gone = MissCause::kNone;
    ++pages_;
    return result;
  }

  /// Whether Insert of the page would make an extent.
  bool NeedsExtent(GroupId group, const PageKey& key) const;

  /// The page is gone for this cause; the slab it had, if it had one of this generation or earlier.
  std::optional<SlabIndex> Remove(GroupId group, const PageRef& page, MissCause cause);

  /// Forgets everything of a sequence, or of a group; the slabs that were in use. Of a group no
  /// more extents than it takes to look at `places` places.
  std::vector<SlabIndex> DropSequence(GroupId group, std::uint64_t sequence);
  std::vector<SlabIndex> DropGroup(GroupId group, std::size_t places = SIZE_MAX);
  /// Whether anything is known of the group.
  bool HasGroup(GroupId group) const { return groups_.contains(group); }

  /// All extents, and the places of one that is there. Valid until a page comes or leaves.
  const ExtentNumbers& numbers() const { return numbers_; }
  absl::Span<const ExtentPage> PlacesOf(const ExtentAddress& extent) const;

  /// Those of which anything is known, and how often one has come or gone.
  std::vector<GroupId> groups() const;
  std::uint64_t group_changes() const { return group_changes_; }

  std::size_t pages() const { return pages_; }
  std::size_t extents() const { return extents_; }

 private:
  using Sequence = absl::flat_hash_map<ExtentName, Extent>;
  using Group = absl::flat_hash_map<std::uint64_t, Sequence>;

  /// Null where nothing is known of the page's extent, or beyond its places. `Groups` is const or
  /// not.
  template <typename Groups>
  static auto FindPage(Groups& groups, GroupId group, const PageKey& key)
      -> decltype(groups.begin()->second.begin()->second.begin()->second.Find(key));
  Extent& MakeExtent(GroupId group, const PageKey& key);
  void Forget(const Extent& extent, std::vector<SlabIndex>& slabs);

  absl::flat_hash_map<GroupId, Group> groups_;
  ExtentNumbers numbers_;
  /// Of the last page that came, as most follow one of the same extent. Null: it may be gone.
  struct {
    GroupId group;
    std::uint64_t sequence = 0;
    ExtentName name;
    Extent* extent = nullptr;
  } last_;
  std::size_t pages_ = 0;  // that can be fetched
  std::size_t extents_ = 0;
  std::uint64_t group_changes_ = 0;
};

}  // namespace pinboard::cache_service
