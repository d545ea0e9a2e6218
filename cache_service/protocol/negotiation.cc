// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/protocol/negotiation.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace pinboard::cache_service {

absl::StatusOr<Agreement> Agree(const Hello& hello, std::uint64_t features) {
  if (hello.min_version > hello.max_version) {
    return absl::InvalidArgumentError("the client speaks from a later to an earlier version");
  }
  if (hello.min_version > kMaxProtocolVersion || hello.max_version < kMinProtocolVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the client speaks protocol versions ", hello.min_version, " to ",
                     hello.max_version, " and this service ", kMinProtocolVersion, " to ",
                     kMaxProtocolVersion, ": update the older one"));
  }
  return Agreement{std::min(hello.max_version, kMaxProtocolVersion), hello.features & features};
}

absl::Status CheckAgreed(const Hello& offered, const Welcome& answer) {
  if (answer.version < offered.min_version || answer.version > offered.max_version) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the service wants protocol version ", answer.version, " and this client speaks ",
        offered.min_version, " to ", offered.max_version, ": update the older one"));
  }
  if ((answer.features & ~offered.features) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the service uses features ", absl::Hex(answer.features),
                     " and this client offered ", absl::Hex(offered.features)));
  }
  return absl::OkStatus();
}

}  // namespace pinboard::cache_service
