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
/// The service may challenge the client before it greets it. A client offers it that has a key; a
/// service agrees to it that has keys, and refuses clients without it.
inline constexpr std::uint64_t kFeatureChallenge = 2;
/// The service tells of segments that it takes back.
inline constexpr std::uint64_t kFeatureWithdrawal = 4;
/// The client is another member: it may be offered pages, and fetch those of any group. Offered by
/// members alone; a service that has no members refuses what they say next.
inline constexpr std::uint64_t kFeaturePeers = 8;
/// The client may lease slabs before it needs them (LeaseAhead).
inline constexpr std::uint64_t kFeatureLeasesAhead = 16;
/// The client may ask what its tenant has (Inspect).
inline constexpr std::uint64_t kFeatureInspection = 32;
/// Pages that are there come as FetchHits, 40 bytes each, instead of within FetchReply, 189.
inline constexpr std::uint64_t kFeatureShortHits = 64;
/// All that this build has and that asks nothing of who uses it.
inline constexpr std::uint64_t kFeatures = kFeatureShortMisses | kFeatureWithdrawal |
                                           kFeatureLeasesAhead | kFeatureInspection |
                                           kFeatureShortHits;
/// What a service of this build agrees to, and a member offers.
inline constexpr std::uint64_t kMemberFeatures = kFeatures | kFeaturePeers;

struct Agreement {
  std::uint16_t version = 0;
  std::uint64_t features = 0;
};

/// The service's half: the highest version and the features that both have. FailedPrecondition,
/// with both ranges: they share no version.
absl::StatusOr<Agreement> Agree(const Hello& hello, std::uint64_t features = kFeatures);

/// The client's half: whether the answer is within what was offered. FailedPrecondition: it is not.
absl::Status CheckAgreed(const Hello& offered, const Welcome& answer);

}  // namespace pinboard::cache_service
