// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/inventory/eviction_policy.h"

namespace pinboard::cache_service {
namespace {

class LowestInformationPolicy final : public EvictionPolicy {
 public:
  std::int64_t Value(const EvictionCandidate& page) const override { return page.mean_information; }
};

}  // namespace

EvictionPolicyPtr LowestInformation() { return std::make_shared<LowestInformationPolicy>(); }

}  // namespace pinboard::cache_service
