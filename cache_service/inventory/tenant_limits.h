// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// How much of the service a tenant may take.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace pinboard::cache_service {

struct TenantLimits {
  std::optional<std::uint64_t>
      bytes;  // of memory, in segments; absent: an equal share of the arena
  std::uint64_t pages = std::numeric_limits<std::uint64_t>::max();    // in slabs, leased ones too
  std::uint64_t extents = std::numeric_limits<std::uint64_t>::max();  // in the catalog
  int priority = 0;  // the higher one gets memory first, and gives it back last
};

}  // namespace pinboard::cache_service
