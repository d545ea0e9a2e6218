// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The operations of the backend that a test is linked with.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "shard/operations/cuda_operations.h"
#include "shard/operations/operations.h"
#include "tests/shard/toy_memory.h"

namespace pinboard::testing {

inline std::unique_ptr<Operations> MakeToyOperations() {
  if (ToyBackend() == Backend::kCpu) return MakeHostOperations();
  auto made = MakeCudaOperations(nullptr);
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() ? *std::move(made) : nullptr;
}

}  // namespace pinboard::testing
