// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/engine/backend_under_test.h"

namespace pinboard::engine::testing {

BackendUnderTest TheBackend() { return {Backend::kCpu, DType::kF32, 1e-4}; }

}  // namespace pinboard::engine::testing
