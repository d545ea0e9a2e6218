// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec RecencyPrompt(const MethodOptions& method) {
  PolicySpec spec = Recency(method);
  spec.protect_prompt = true;
  return spec;
}

}  // namespace pinboard::scheduler
