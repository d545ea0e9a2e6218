// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec Rpc(const MethodOptions&) {
  return {.queries = AttentionQueries::kWindow,
          .window = 32,
          .pool = 7,
          .keep = ScoreRule::kAttention,
          .band = ScoreRule::kAttention,
          .protect_prompt = true};
}

}  // namespace pinboard::scheduler
