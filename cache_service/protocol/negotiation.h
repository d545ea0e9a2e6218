// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What two sides of different ages speak with each other.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// Optional behaviour, one bit each; both sides use what both announced.
/// Pages that are not there come as FetchMisses, 5 bytes each, instead of within FetchReply, 189.
inline constexpr std::uint64_t kFeatureShortMisses = 1;
inline constexpr std::uint64_t kFeatures = kFeatureShortMisses;  // all that this build has

struct Agreement {
  std::uint16_t version = 0;
  std::uint64_t features = 0;
};

/// The service's half: the highest version and the features that both have. FailedPrecondition,
/// with both ranges: they share no version.
absl::StatusOr<Agreement> Agree(const Hello& hello);

/// The client's half: whether the answer is within what was offered. FailedPrecondition: it is not.
absl::Status CheckAgreed(const Hello& offered, const Welcome& answer);

}  // namespace pinboard::cache_service
