// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/eviction_policy.h"

namespace pinboard::cache_service {
namespace {

class LeastRecentlyUsedPolicy final : public EvictionPolicy {
 public:
  std::int64_t Value(const EvictionCandidate& page) const override { return page.last_used_ns; }
};

}  // namespace

EvictionPolicyPtr LeastRecentlyUsed() { return std::make_shared<LeastRecentlyUsedPolicy>(); }

}  // namespace pinboard::cache_service
