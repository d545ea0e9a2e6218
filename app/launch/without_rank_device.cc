// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/rank_device.h"

namespace pinboard::app {

absl::StatusOr<MemoryRegistrar> ChooseDevice(int /*rank*/) {
  return absl::UnimplementedError("this build has no CUDA: build with preset cuda-release");
}

}  // namespace pinboard::app
