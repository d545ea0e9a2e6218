// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Linked into every test of a device implementation: without a device its tests are skipped.
#include <gtest/gtest.h>

#include "base/cuda/device.h"

namespace pinboard {
namespace {

class DeviceEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    if (!cuda::CountDevices().ok()) GTEST_SKIP() << "no CUDA device on this machine";
  }
};

const auto* const kDeviceEnvironment =
    testing::AddGlobalTestEnvironment(new DeviceEnvironment);  // GoogleTest owns it

}  // namespace
}  // namespace pinboard
