// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Linked into every test of a device implementation: without a device its tests are skipped.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

namespace pinboard::kernels {
namespace {

class DeviceEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      GTEST_SKIP() << "no CUDA device on this machine";
    }
  }
};

const auto* const kDeviceEnvironment =
    testing::AddGlobalTestEnvironment(new DeviceEnvironment);  // GoogleTest owns it

}  // namespace
}  // namespace pinboard::kernels
