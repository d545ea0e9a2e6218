// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a catalog has, in answers that each cost little.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "cache_service/inventory/catalog.h"
#include "cache_service/inventory/slab_table.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// An answer ends with the extent at which so many numbers and places of pages were looked at:
/// about 100 us of a cold catalog. Extents have at least 16 places, so it tells of at most 241.
inline constexpr std::uint64_t kInspectedTogether = 4096;

/// The extents from `cursor` on, and where to go on, which is above `cursor`; at the end 0, with
/// which the next walk begins. A walk meets extents as ExtentNumbers says. Those of one answer are
/// told of as they are at one moment, those of a walk are not.
InspectReply InspectExtents(const Catalog& catalog, std::uint64_t cursor,
                            absl::FunctionRef<const Slab&(SlabIndex)> slab_of);

}  // namespace pinboard::cache_service
