// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The digests of one layer's offloaded pages, structure of arrays, as the page score wants them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/memory_space.h"
#include "base/space_vector.h"
#include "kernels/page_digest/page_digest.h"
#include "pinboard/kv_layout.h"

namespace pinboard {

/// The arrays of kernels::DigestView, to be written.
struct DigestArrays {
  absl::Span<std::int8_t> centres;
  absl::Span<std::uint8_t> counts;
  absl::Span<float> step;
};

/// Digests by page number. A value type; the arrays lie in a memory space; slots of removed pages
/// are used again.
class DigestTable {
 public:
  DigestTable() = default;
  DigestTable(MemorySpace* space, const KvShape& shape);

  /// Slots that no page has, for the digests of pages that may join: written through `arrays`, they
  /// stay free until Add. Valid until another call that is not const.
  struct FreeSlots {
    std::vector<std::int32_t> slots;
    DigestArrays arrays;
  };
  absl::StatusOr<FreeSlots> Free(std::size_t count);

  /// The digest in a free slot is that of `page`, which has none.
  void Add(std::uint32_t page, std::int32_t slot);
  void Remove(std::uint32_t page);

  kernels::DigestView view() const { return {centres_.view(), counts_.view(), step_.view()}; }
  /// Indices into view() of `pages`, all of which are present.
  std::vector<std::int32_t> Slots(absl::Span<const std::uint32_t> pages) const;
  /// Of all pages, by ascending number.
  const std::vector<std::int32_t>& slots() const { return slots_; }
  std::size_t size() const { return slots_.size(); }

 private:
  int kv_heads_ = 0;
  int key_dim_ = 0;
  std::vector<std::uint32_t> pages_;  // ascending
  std::vector<std::int32_t> slots_;   // parallel to pages_
  std::vector<std::int32_t> free_;
  std::int32_t slot_count_ = 0;
  SpaceVector<std::int8_t> centres_;
  SpaceVector<std::uint8_t> counts_;
  SpaceVector<float> step_;
};

}  // namespace pinboard
