// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/segment_pool.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace pinboard::cache_service {
namespace {

// Longer than a tenant under load goes without asking.
constexpr absl::Duration kClaimLife = absl::Seconds(1);

}  // namespace

SegmentPool::SegmentPool(std::uint64_t capacity_bytes, std::uint64_t segment_bytes,
                         std::uint64_t least_bytes, Allocator allocate)
    : segment_bytes_(segment_bytes),
      least_bytes_(least_bytes),
      allocate_(std::move(allocate)),
      free_bytes_(capacity_bytes) {}

void SegmentPool::SetQuota(const std::string& tenant, const SegmentQuota& quota) {
  accounts_[tenant].quota = quota;
}

std::uint64_t SegmentPool::ClaimedAbove(int priority, absl::Time now) const {
  std::uint64_t bytes = 0;
  for (const auto& [tenant, account] : accounts_) {
    const bool claims = account.claims_until > now && account.quota.priority > priority;
    if (claims) bytes += segment_bytes_;
  }
  return bytes;
}

absl::StatusOr<std::unique_ptr<transport::Segment>> SegmentPool::Give(const std::string& tenant,
                                                                      absl::Time now) {
  Account& account = accounts_.at(tenant);
  const std::uint64_t allowed = std::max(account.quota.bytes, account.bytes) - account.bytes;
  if (allowed < least_bytes_) {
    return absl::FailedPreconditionError(
        absl::StrCat("tenant ", tenant, " has its quota of ", account.quota.bytes, " bytes"));
  }
  const std::uint64_t claimed = ClaimedAbove(account.quota.priority, now);
  const std::uint64_t free = std::max(free_bytes_, claimed) - claimed;
  const std::uint64_t bytes = std::min({segment_bytes_, allowed, free});
  if (bytes < least_bytes_) {
    account.claims_until = now + kClaimLife;
    return absl::ResourceExhaustedError("every segment of the arena is in use");
  }
  PB_ASSIGN_OR_RETURN(auto segment, allocate_(bytes));
  account.claims_until = absl::InfinitePast();
  account.bytes += bytes;
  free_bytes_ -= bytes;
  given_[segment.get()] = bytes;
  return segment;
}

void SegmentPool::TakeBack(const std::string& tenant, std::unique_ptr<transport::Segment> segment) {
  const std::uint64_t bytes = given_.extract(segment.get()).mapped();
  segment.reset();
  accounts_.at(tenant).bytes -= bytes;
  free_bytes_ += bytes;
}

std::vector<std::string> SegmentPool::Holders() const {
  std::vector<std::tuple<int, std::uint64_t, std::string>> holders;
  for (const auto& [tenant, account] : accounts_) {
    if (account.bytes > 0) holders.emplace_back(account.quota.priority, ~account.bytes, tenant);
  }
  std::sort(holders.begin(), holders.end());
  std::vector<std::string> tenants;
  tenants.reserve(holders.size());
  for (const auto& [priority, bytes, tenant] : holders) tenants.push_back(tenant);
  return tenants;
}

std::optional<std::string> SegmentPool::NextToYield(absl::Time now) const {
  const std::vector<std::string> holders = Holders();
  if (holders.empty()) return std::nullopt;
  const int priority = accounts_.at(holders.front()).quota.priority;
  if (ClaimedAbove(priority, now) <= free_bytes_) return std::nullopt;
  return holders.front();
}

std::uint64_t SegmentPool::BytesOf(const std::string& tenant) const {
  const auto found = accounts_.find(tenant);
  return found == accounts_.end() ? 0 : found->second.bytes;
}

std::uint64_t SegmentPool::QuotaOf(const std::string& tenant) const {
  const auto found = accounts_.find(tenant);
  return found == accounts_.end() ? 0 : found->second.quota.bytes;
}

}  // namespace pinboard::cache_service
