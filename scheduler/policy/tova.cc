// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec Tova(const MethodOptions&) {
  return {.queries = AttentionQueries::kWindow,
          .window = 1,
          .keep = ScoreRule::kAttention,
          .band = ScoreRule::kAttention};
}

}  // namespace pinboard::scheduler
