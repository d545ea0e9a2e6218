// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The pages of one sequence and shard in an aligned block of layers and page numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "base/page.h"
#include "base/strong_id.h"
#include "cache_service/inventory/arena.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// A block is this many layers by this many page numbers: a page's place in it is one byte.
inline constexpr std::uint32_t kExtentLayers = 16;
inline constexpr std::uint32_t kExtentPages = 16;

/// Names an extent within its sequence; follows from the key of each page in it.
using ExtentName = StrongId<struct ExtentNameTag, std::uint64_t>;
inline ExtentName ExtentNameOf(const PageKey& key) {
  return ExtentName(std::uint64_t{key.page / kExtentPages} << 32 |
                    std::uint64_t{key.layer / kExtentLayers} << 16 | key.shard);
}

/// What is known of a page: its latest generation, and where it is or why it is gone.
struct ExtentPage {
  SlabIndex slab;
  std::uint32_t generation = 0;
  MissCause gone = MissCause::kUnknown;  // kUnknown: none was ever here; kNone: it is in `slab`
};

/// Places are ordered by page number, then layer, and kept up to the highest page number in use: a
/// round, which adds pages of a few numbers in all layers, leaves none of them empty.
class Extent {
 public:
  /// Null beyond the places that are kept. Requires the key to be of this extent, as do all.
  ExtentPage* Find(const PageKey& key) { return FindIn(pages_, key); }
  const ExtentPage* Find(const PageKey& key) const { return FindIn(pages_, key); }
  /// The page's place, made where it is not there.
  ExtentPage& At(const PageKey& key) {
    const std::size_t place = PlaceOf(key);
    if (place >= pages_.size()) {
      const std::size_t size = (place / kExtentLayers + 1) * kExtentLayers;
      pages_.reserve(size);
      pages_.resize(size);
    }
    return pages_[place];
  }
  const std::vector<ExtentPage>& pages() const { return pages_; }

 private:
  template <typename Pages>
  static auto FindIn(Pages& pages, const PageKey& key) -> decltype(pages.data()) {
    const std::size_t place = PlaceOf(key);
    return place < pages.size() ? &pages[place] : nullptr;
  }
  static std::size_t PlaceOf(const PageKey& key) {
    return key.page % kExtentPages * kExtentLayers + key.layer % kExtentLayers;
  }

  std::vector<ExtentPage> pages_;
};

}  // namespace pinboard::cache_service
