// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The arena's memory, as tenants have it: segments that are given and taken back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "transport/fabric/fabric.h"

namespace pinboard::cache_service {

/// How much memory a tenant may have, and how urgently.
struct SegmentQuota {
  std::uint64_t bytes = 0;
  int priority = 0;
};

/// Knows bytes by tenant, never pages. A segment is allocated for one tenant and freed as it comes
/// back, before its bytes count as free: no memory, and no byte in it, passes from one tenant to
/// another.
///
/// A tenant that got nothing because nothing is free has a claim for a while: tenants of a lower
/// priority leave it that much, and are asked to give up what they have. Among equals the first
/// gets it and keeps it. Thread-compatible.
class SegmentPool {
 public:
  using Allocator =
      std::function<absl::StatusOr<std::unique_ptr<transport::Segment>>(std::uint64_t bytes)>;

  /// Segments have `segment_bytes`, or what is left of the capacity or a quota, and no fewer than
  /// `least_bytes`.
  SegmentPool(std::uint64_t capacity_bytes, std::uint64_t segment_bytes, std::uint64_t least_bytes,
              Allocator allocate);

  /// A quota below what the tenant has takes nothing away.
  void SetQuota(const std::string& tenant, const SegmentQuota& quota);

  /// FailedPrecondition: the tenant has its quota. ResourceExhausted: nothing is free for it; it
  /// has a claim now. Else the allocator's error. Requires a quota to be set.
  absl::StatusOr<std::unique_ptr<transport::Segment>> Give(const std::string& tenant,
                                                           absl::Time now);
  /// Requires it to be given to this tenant.
  void TakeBack(const std::string& tenant, std::unique_ptr<transport::Segment> segment);

  /// Who has segments, in the order in which they give up what they do not use: the lowest
  /// priority first, of equals who has most.
  std::vector<std::string> Holders() const;
  /// Who is to give up what it uses: the first of the holders, where claims of a higher priority
  /// are more than what is free.
  std::optional<std::string> NextToYield(absl::Time now) const;

  std::uint64_t BytesOf(const std::string& tenant) const;
  std::uint64_t QuotaOf(const std::string& tenant) const;
  std::uint64_t free_bytes() const { return free_bytes_; }

 private:
  struct Account {
    SegmentQuota quota;
    std::uint64_t bytes = 0;  // given
    absl::Time claims_until = absl::InfinitePast();
  };
  std::uint64_t ClaimedAbove(int priority, absl::Time now) const;

  const std::uint64_t segment_bytes_;
  const std::uint64_t least_bytes_;
  const Allocator allocate_;
  std::uint64_t free_bytes_;
  absl::btree_map<std::string, Account> accounts_;
  absl::flat_hash_map<const transport::Segment*, std::uint64_t> given_;  // bytes asked for
};

}  // namespace pinboard::cache_service
