// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How much of the service a tenant may take.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

namespace pinboard::cache_service {

struct TenantLimits {
  std::optional<std::uint64_t>
      bytes;  // of memory, in segments; absent: an equal share of the arena
  std::uint64_t pages = std::numeric_limits<std::uint64_t>::max();  // in slabs, leased ones too
  /// In the catalog, where one stays until its sequence is dropped; absent: DefaultExtents.
  std::optional<std::uint64_t> extents;
  int priority = 0;  // the higher one gets memory first, and gives it back last
};

/// For a tenant of so many bytes. An extent takes at most 3 KB of the catalog: no more than a
/// twentieth of these bytes, or 200 MB.
inline std::uint64_t DefaultExtents(std::uint64_t bytes) {
  return std::max<std::uint64_t>(65536, bytes / 65536);
}

}  // namespace pinboard::cache_service
