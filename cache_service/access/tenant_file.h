// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The quotas of tenants, from a file.
#pragma once

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "cache_service/inventory/tenant_limits.h"

namespace pinboard::cache_service {

/// By tenant. Text, one tenant a line, # begins a comment, and each limit may be left out:
///
///   acme   bytes=48GiB pages=3000000 extents=40000 priority=10
///   guest  bytes=4GiB
///
/// InvalidArgument, in one line that names the line, for anything else.
absl::StatusOr<absl::flat_hash_map<std::string, TenantLimits>> ParseTenantFile(
    const std::string& text);

}  // namespace pinboard::cache_service
