// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec InfoKv(const MethodOptions& method) {
  return {.queries = AttentionQueries::kWindow,
          .pool = 9,
          .keep = method.fusion,
          .alpha = method.alpha,
          .band = method.fusion,
          .reads = {"fusion", "alpha", "tau", "align", "entropy-unit"}};
}

}  // namespace pinboard::scheduler
