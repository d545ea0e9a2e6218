// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Members as operators write them down.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cache_service/membership/member.h"

namespace pinboard::cache_service {

/// Reads HOST:PORT or HOST:PORT=WEIGHT, HOST an IP literal or localhost. The address, in its
/// shortest form, is the member's name too. InvalidArgument: neither, port 0, or a weight that is
/// not 1 to kMaxMemberWeight.
absl::StatusOr<Member> ParseMember(absl::string_view text);

/// Members between commas, in the order written. InvalidArgument: none, one that cannot be read, or
/// one twice.
absl::StatusOr<std::vector<Member>> ParseMemberList(absl::string_view text);

/// One member a line; empty lines and what follows a # are comments. Errors name the line.
absl::StatusOr<std::vector<Member>> ParseMemberLines(absl::string_view text);

}  // namespace pinboard::cache_service
