// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec EntropyOnly(const MethodOptions&) {
  return {.information = InformationSignal::kEntropy,
          .keep = ScoreRule::kInformation,
          .band = ScoreRule::kInformation,
          .reads = {"align", "entropy-unit"}};
}

}  // namespace pinboard::scheduler
