// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Linked into every test of a device implementation: without a device its tests are skipped, or
// fail where PINBOARD_EXPECT_GPU is set.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/cuda/device.h"

namespace pinboard {
namespace {

class DeviceEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    if (cuda::CountDevices().ok()) return;
    // Other words than those by which ctest knows a test that was skipped.
    if (std::getenv("PINBOARD_EXPECT_GPU") != nullptr) {
      FAIL() << "PINBOARD_EXPECT_GPU is set, and the CUDA runtime finds no device that works";
    }
    GTEST_SKIP() << "no CUDA device on this machine";
  }
};

const auto* const kDeviceEnvironment =
    testing::AddGlobalTestEnvironment(new DeviceEnvironment);  // GoogleTest owns it

}  // namespace
}  // namespace pinboard
