// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/eviction_policy.h"

namespace pinboard::cache_service {
namespace {

class TimeToLivePolicy final : public EvictionPolicy {
 public:
  explicit TimeToLivePolicy(absl::Duration time_to_live) : time_to_live_(time_to_live) {}

  std::int64_t Value(const EvictionCandidate& page) const override { return page.published_ns; }
  absl::Time Expires(const EvictionCandidate& page) const override {
    return absl::FromUnixNanos(page.published_ns) + time_to_live_;
  }

 private:
  const absl::Duration time_to_live_;
};

}  // namespace

EvictionPolicyPtr TimeToLive(absl::Duration time_to_live) {
  return std::make_shared<TimeToLivePolicy>(time_to_live);
}

}  // namespace pinboard::cache_service
