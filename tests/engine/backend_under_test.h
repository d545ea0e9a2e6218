// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The backend that a test of the engine is linked with, and how exact it is.
#pragma once

#include "pinboard/backend.h"
#include "pinboard/kv_layout.h"

namespace pinboard::engine::testing {

struct BackendUnderTest {
  Backend backend = Backend::kCpu;
  DType cache_dtype = DType::kF32;  // its most exact
  /// Of |logits - exact| / |exact| of a token, on the random models.
  double logits_tolerance = 0.0;
  bool keeps_experts = true;  // rounding never gives a token to other experts
};

BackendUnderTest TheBackend();

}  // namespace pinboard::engine::testing
