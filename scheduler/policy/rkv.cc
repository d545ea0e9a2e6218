// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec Rkv(const MethodOptions&) {
  return {.queries = AttentionQueries::kWindow,
          .window = 8,
          .keep = ScoreRule::kDistinct,
          .alpha = 0.07,
          .band = ScoreRule::kDistinct};
}

}  // namespace pinboard::scheduler
