// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Who leaves first: what a policy is. policies/ has one file for each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace pinboard::cache_service {

/// What a policy may know of a page that could leave.
struct EvictionCandidate {
  std::int32_t mean_information = 0;  // of its rows; fixed point, base/fixed_point.h
  std::int64_t published_ns = 0;      // since the Unix epoch
  std::int64_t last_used_ns = 0;      // its last fetch, or its publication; likewise
};

/// A pure function of a page, so thread-safe: the page of the lowest value leaves first; of two
/// equal ones, that whose slab was leased earlier. Values compare across page sizes.
///
/// Neither Value nor Expires ever falls as last_used rises, and Expires never falls as Value rises:
/// an order made earlier then errs only towards leaving too early, and is corrected where it does.
class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;
  virtual std::int64_t Value(const EvictionCandidate& page) const = 0;
  /// When the page leaves though there is room.
  virtual absl::Time Expires(const EvictionCandidate&) const { return absl::InfiniteFuture(); }
};

// Shared: a policy has no state, and options that name one are copied.
using EvictionPolicyPtr = std::shared_ptr<const EvictionPolicy>;

/// The longest unused.
EvictionPolicyPtr LeastRecentlyUsed();

/// The lowest mean information E.
EvictionPolicyPtr LowestInformation();

/// The lowest E * 2^(-age / half_life), age being the time since the last use. Requires half_life
/// of a second or more.
EvictionPolicyPtr AgedInformation(absl::Duration half_life);

/// The oldest; and each page once `time_to_live` has passed since its publication. Requires
/// time_to_live > 0.
EvictionPolicyPtr TimeToLive(absl::Duration time_to_live);

/// "lru", "score", "aged-score:10m", "ttl:1h": the above, in this order. InvalidArgument, in one
/// line, for anything else.
absl::StatusOr<EvictionPolicyPtr> ParseEvictionPolicy(const std::string& text);

}  // namespace pinboard::cache_service
