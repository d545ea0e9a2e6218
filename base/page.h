// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The page: 16 rows of one layer, the unit of offload, recall and eviction.
#pragma once

#include <compare>
#include <cstdint>
#include <utility>

namespace pinboard {

/// Rows in a page, always (fewer left over wait for the next round).
inline constexpr int kPageRows = 16;

/// Names one page of one KV shard in the service. `sequence` is unique per tenant and connection
/// group; `shard` is the KV shard the bytes belong to (GQA: the rank's distinct head group; MLA:
/// 0); `page` counts up per (sequence, layer) and is never reused.
struct PageKey {
  std::uint64_t sequence = 0;
  std::uint32_t page = 0;
  std::uint16_t layer = 0;
  std::uint16_t shard = 0;

  friend auto operator<=>(const PageKey&, const PageKey&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const PageKey& key) {
    return H::combine(std::move(state), key.sequence, key.page, key.layer, key.shard);
  }
};

}  // namespace pinboard
