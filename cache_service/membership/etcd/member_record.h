// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What etcd holds of a member: its name ends the key, the rest is the value, in JSON:
//   {"address":"10.0.0.1:7700","incarnation":"00c0ffee00c0ffee","state":"joined","weight":64}
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cache_service/membership/member.h"

namespace pinboard::cache_service::etcd {

/// InvalidArgument unless a name has 1 to 128 letters, digits and . _ - : [ ] and nothing else.
absl::Status CheckMemberName(const std::string& name);

std::string MemberRecord(const Member& member);

/// Fields that are not known are passed over, for later versions to add. InvalidArgument: not such
/// a record, with a reason.
absl::StatusOr<Member> ParseMemberRecord(const std::string& name, const std::string& record);

}  // namespace pinboard::cache_service::etcd
