// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "scheduler/policy/policies.h"

namespace pinboard::scheduler {

PolicySpec PyramidKv(const MethodOptions& method) {
  PolicySpec spec = SnapKv(method);
  spec.layers = LayerShare::kPyramid;
  return spec;
}

}  // namespace pinboard::scheduler
