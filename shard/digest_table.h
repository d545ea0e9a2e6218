// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The digests of one layer's offloaded pages, structure of arrays, as the page score wants them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/page_digest/page_digest.h"
#include "pinboard/kv_layout.h"

namespace pinboard {

/// One page's digest, laid out as kernels::DigestSlot. Owns its memory.
struct PageDigest {
  std::vector<std::int8_t> centres;
  std::vector<std::uint8_t> counts;
  std::vector<float> step;
};

/// Of a page's bytes in kernels/page_transfer's layout. Errors: kernels::BuildDigest's.
absl::StatusOr<PageDigest> MakeDigest(const KvShape& shape, absl::Span<const std::byte> bytes);

/// Digests by page number. A value type; host memory; slots of removed pages are used again.
class DigestTable {
 public:
  /// Every digest has the same shape.
  void Add(std::uint32_t page, const PageDigest& digest);
  void Remove(std::uint32_t page);

  kernels::DigestView view() const { return {centres_, counts_, step_}; }
  /// Indices into view() of `pages`, all of which are present.
  std::vector<std::int32_t> Slots(absl::Span<const std::uint32_t> pages) const;
  std::size_t size() const { return slots_.size(); }

 private:
  absl::flat_hash_map<std::uint32_t, std::int32_t> slots_;
  std::vector<std::int32_t> free_;
  std::vector<std::int8_t> centres_;
  std::vector<std::uint8_t> counts_;
  std::vector<float> step_;
};

}  // namespace pinboard
