// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The pages that could leave, lowest first, by slab size; put right only where it is looked at.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "cache_service/inventory/arena.h"

namespace pinboard::cache_service {

/// A page's value, and among equals the age of its lease: lower ones leave first.
struct EvictionRank {
  std::int64_t value = 0;
  std::uint32_t serial = 0;
  friend auto operator<=>(const EvictionRank&, const EvictionRank&) = default;
};

/// Each stripe of 64 slabs in a row knows its lowest page, and only stripes are sorted: most pages
/// that come and go change nothing but their own place, and what is touched stays small as pages
/// grow in number. A stripe is searched when its lowest page leaves.
///
/// Values only rise while a page is in here. So a page that comes up first is asked for its value
/// now, and where it has risen goes back: using a page costs the order nothing. Thread-compatible.
class EvictionOrder {
 public:
  explicit EvictionOrder(std::uint32_t chunks) : chunks_(chunks) {}
  /// Requires `chunks` to be no fewer than before.
  void Grow(std::uint32_t chunks) { chunks_.resize(chunks); }

  struct Entry {
    EvictionRank rank;
    SlabAddress slab;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  /// `slabs` and `slab_bytes` are those of the slab's chunk. Requires the slab not to be in here.
  void Add(const Entry& entry, std::uint64_t slab_bytes, std::uint64_t slabs);
  /// Requires the slab to be in here.
  void Remove(SlabAddress slab);

  /// A page's value now, or nothing: it leaves the order.
  using Judge = absl::FunctionRef<std::optional<std::int64_t>(SlabAddress)>;
  /// The lowest of this slab size, or of all, with its value now; it stays in. Nothing where there
  /// is none.
  std::optional<Entry> First(std::uint64_t slab_bytes, Judge judge);
  std::optional<Entry> First(Judge judge);

 private:
  static constexpr std::int64_t kAbsent = std::numeric_limits<std::int64_t>::max();
  static constexpr std::uint32_t kStripe = 64;
  struct Stripe {
    Stripe() { values.fill(kAbsent); }
    EvictionRank RankOf(std::uint32_t place) const { return {values[place], serials[place]}; }
    std::uint32_t Search() const;

    std::uint32_t pages = 0;
    std::uint32_t lowest = 0;                    // its place; valid while there are pages
    std::array<std::int64_t, kStripe> values;    // by place; kAbsent where no page is
    std::array<std::uint32_t, kStripe> serials;  // likewise
  };
  struct Chunk {
    std::uint64_t slab_bytes = 0;
    std::uint32_t pages = 0;
    std::vector<Stripe> stripes;  // while there are pages
  };
  /// The lowest page of each stripe of one slab size.
  using Lowest = absl::btree_set<Entry>;

  Stripe& StripeOf(SlabAddress slab) {
    return chunks_[slab.chunk.value()].stripes[slab.slot / kStripe];
  }
  /// The lowest page of the stripe of `slab`.
  Entry LowestBeside(SlabAddress slab);
  /// Add and Remove within an open chunk.
  void Insert(const Entry& entry);
  void Take(SlabAddress slab);

  std::vector<Chunk> chunks_;
  absl::btree_map<std::uint64_t, Lowest> lowest_;  // by slab bytes; none is empty
};

}  // namespace pinboard::cache_service
