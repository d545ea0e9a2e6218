// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec SnapKvHeads(const MethodOptions& method) {
  PolicySpec spec = SnapKv(method);
  spec.per_head = true;
  return spec;
}

}  // namespace pinboard::scheduler
