// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec Random(const MethodOptions&) {
  return {.keep = ScoreRule::kRandom, .band = ScoreRule::kRandom, .reads = {"seed"}};
}

}  // namespace pinboard::scheduler
