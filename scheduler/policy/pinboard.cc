// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec Pinboard(const MethodOptions& method) {
  PolicySpec spec = InfoKv(method);
  spec.near_share = method.near_share;
  spec.band = ScoreRule::kInformation;
  spec.reads.emplace_back("near-share");
  return spec;
}

}  // namespace pinboard::scheduler
