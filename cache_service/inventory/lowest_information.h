// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Eviction by information: the lowest mean E leaves first.
#pragma once

#include <memory>

#include "cache_service/inventory/eviction_policy.h"

namespace pinboard::cache_service {

/// Lowest mean information first, ties: the page published earlier. O(log pages) each.
std::unique_ptr<EvictionPolicy> NewLowestInformationPolicy();

}  // namespace pinboard::cache_service
