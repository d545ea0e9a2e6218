// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What the service remembers of each slab, in an array for each chunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "cache_service/inventory/arena.h"
#include "cache_service/inventory/eviction_policy.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

enum class SlabState : std::uint8_t {
  kFree,
  kLeased,
  kQuarantined,
  kPublished,  // in the catalog; may leave while it has no pins
  kRetired,    // out of the catalog, freed with its last pin
};

/// Of seven times 32 bytes: so aligned it lies in four lines of a cache, not in five as half of
/// them otherwise would.
struct alignas(32) Slab {
  SlabState state = SlabState::kFree;
  bool in_order : 1 = false;  // of those that could leave
  bool named : 1 = false;     // to others, by a service that ends
  bool staying : 1 = false;   // in the order of those that are not leaving
  bool leaving : 1 = false;   // seen to be among those that leave next, and not used since
  bool spilled : 1 = false;   // by a member that had no room for it
  std::uint16_t source = 0;   // the member it is a copy of, as replication numbers them; 0: none
  std::uint32_t serial = 0;
  std::uint32_t pins = 0;
  std::uint32_t holder = 0;  // the client that leases it, or of those that pin it one; 0: none
  std::uint32_t holder_pins = 0;
  std::uint32_t place = 0;            // among the holder's
  std::int32_t mean_information = 0;  // the header's, where uses of the page find it
  std::int64_t published_ns = 0;      // since the Unix epoch
  std::int64_t last_used_ns = 0;
  GroupId group;
  PageHeader header;

  /// All but what a publication sets.
  void BeLeased(std::uint32_t lease_serial, GroupId lease_group) {
    state = SlabState::kLeased;
    in_order = named = staying = leaving = spilled = false;
    serial = lease_serial;
    pins = holder_pins = 0;
    group = lease_group;
  }

  EvictionCandidate candidate() const { return {mean_information, published_ns, last_used_ns}; }
};

static_assert(sizeof(Slab) == 224);

/// Slabs whose records are asked for together, before the first is looked at: a quarter of a core's
/// first cache.
inline constexpr std::size_t kSlabsTogether = 48;

/// What Pin and a FetchHits read of it, two lines.
inline void PrefetchForPin(const Slab& slab) {
  __builtin_prefetch(&slab);
  __builtin_prefetch(&slab.header.mean_information);
}
static_assert(offsetof(Slab, header) + offsetof(PageHeader, information) <= 96);

/// All of it, four lines.
inline void Prefetch(const Slab& slab) {
  constexpr std::size_t kLineBytes = 64;
  const auto* bytes = reinterpret_cast<const char*>(&slab);
  for (std::size_t offset = 0; offset < sizeof(slab); offset += kLineBytes) {
    __builtin_prefetch(bytes + offset);
  }
  __builtin_prefetch(bytes + sizeof(slab) - 1);
}

/// A chunk's array is there while the chunk is open. Thread-compatible.
class SlabTable {
 public:
  explicit SlabTable(std::uint32_t chunks) : chunks_(chunks) {}
  /// Requires `chunks` to be no fewer than before.
  void Grow(std::uint32_t chunks) { chunks_.resize(chunks); }

  bool IsOpen(ChunkIndex chunk) const { return !chunks_[chunk.value()].empty(); }
  void Open(ChunkIndex chunk, std::uint64_t slabs) { chunks_[chunk.value()].resize(slabs); }
  void Close(ChunkIndex chunk) { chunks_[chunk.value()] = {}; }

  /// How many slabs the chunk has; 0 where it is not open.
  std::uint64_t SlabsOf(ChunkIndex chunk) const { return chunks_[chunk.value()].size(); }
  /// Whether there is such a slab, of any state.
  bool Has(SlabAddress slab) const {
    return slab.chunk.value() < chunks_.size() && slab.slot < chunks_[slab.chunk.value()].size();
  }
  /// Requires its chunk to be open.
  Slab& operator[](SlabAddress slab) { return chunks_[slab.chunk.value()][slab.slot]; }
  const Slab& operator[](SlabAddress slab) const { return chunks_[slab.chunk.value()][slab.slot]; }

 private:
  std::vector<std::vector<Slab>> chunks_;
};

}  // namespace pinboard::cache_service
