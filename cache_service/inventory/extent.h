// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The pages of one sequence and shard in an aligned block of layers and page numbers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/types/span.h"
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
/// The lowest layer and page number of the block, of no sequence.
inline PageKey FirstOfExtent(ExtentName name) {
  return {.page = static_cast<std::uint32_t>(name.value() >> 32) * kExtentPages,
          .layer = static_cast<std::uint16_t>((name.value() >> 16 & 0xffff) * kExtentLayers),
          .shard = static_cast<std::uint16_t>(name.value())};
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
  ExtentPage* Find(const PageKey& key) {
    const std::size_t place = PlaceOf(key);
    return place < size_ ? &pages_[place] : nullptr;
  }
  const ExtentPage* Find(const PageKey& key) const {
    const std::size_t place = PlaceOf(key);
    return place < size_ ? &pages_[place] : nullptr;
  }
  /// The page's place, made where it is not there.
  ExtentPage& At(const PageKey& key) {
    const std::size_t place = PlaceOf(key);
    if (place >= size_) Grow((place / kExtentLayers + 1) * kExtentLayers);
    return pages_[place];
  }
  absl::Span<const ExtentPage> pages() const { return {pages_.get(), size_}; }

  /// What the catalog numbers it (extent_numbers.h).
  std::uint32_t number() const { return number_; }
  void SetNumber(std::uint32_t number) { number_ = number; }

 private:
  static std::size_t PlaceOf(const PageKey& key) {
    return key.page % kExtentPages * kExtentLayers + key.layer % kExtentLayers;
  }

  void Grow(std::size_t size) {
    auto grown = std::make_unique<ExtentPage[]>(size);
    std::copy_n(pages_.get(), size_, grown.get());
    pages_ = std::move(grown);
    size_ = static_cast<std::uint16_t>(size);
  }

  std::unique_ptr<ExtentPage[]> pages_;
  std::uint32_t number_ = 0;
  std::uint16_t size_ = 0;
};

}  // namespace pinboard::cache_service
