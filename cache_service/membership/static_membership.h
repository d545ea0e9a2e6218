// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Members that an operator has listed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/metrics.h"
#include "cache_service/membership/membership.h"

namespace pinboard::cache_service {

/// The listed members, always. A state that is announced changes this process's view alone: the
/// others find out when they ask. Leave does nothing. Requires `members` as ParseMemberList gives
/// them; `metrics` must outlive the result.
std::unique_ptr<Membership> MakeStaticMembership(std::vector<Member> members,
                                                 MetricRegistry& metrics);

/// The members listed in `path` (ParseMemberLines), which a thread reads again each second: what
/// has become another list changes the view, what cannot be read any more is logged and changes
/// nothing. Errors, of the first reading: NotFound, PermissionDenied, InvalidArgument.
absl::StatusOr<std::unique_ptr<Membership>> MakeFileMembership(const std::string& path,
                                                               MetricRegistry& metrics);

}  // namespace pinboard::cache_service
