// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec ExpectedAttention(const MethodOptions&) {
  return {.queries = AttentionQueries::kExpected,
          .keep = ScoreRule::kAttention,
          .band = ScoreRule::kAttention};
}

}  // namespace pinboard::scheduler
